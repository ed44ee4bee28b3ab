/* A ring of samples. They are counted from when it was made, and stand at the remainder by its
 * capacity; which of them are still wanted is for its owner to know.
 */

#ifndef ROOMTAPE_RING_H
#define ROOMTAPE_RING_H

#include "_native.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int16_t *samples;
    Py_ssize_t capacity;
} Ring;

static inline int16_t *ring_at(const Ring *ring, Py_ssize_t sample)
{
    return ring->samples + sample % ring->capacity;
}

/* How many of the next `count` samples stand in a row. */
static inline Py_ssize_t ring_row(const Ring *ring, Py_ssize_t sample, Py_ssize_t count)
{
    Py_ssize_t to_end = ring->capacity - sample % ring->capacity;
    return count < to_end ? count : to_end;
}

static inline void ring_write(Ring *ring, Py_ssize_t first, const int16_t *pcm, Py_ssize_t count)
{
    for (Py_ssize_t done = 0, row; done < count; done += row) {
        row = ring_row(ring, first + done, count - done);
        memcpy(ring_at(ring, first + done), pcm + done, (size_t)row * 2);
    }
}

static inline void ring_silence(Ring *ring, Py_ssize_t first, Py_ssize_t count)
{
    for (Py_ssize_t done = 0, row; done < count; done += row) {
        row = ring_row(ring, first + done, count - done);
        memset(ring_at(ring, first + done), 0, (size_t)row * 2);
    }
}

static inline void ring_read(const Ring *ring, Py_ssize_t first, int16_t *pcm, Py_ssize_t count)
{
    for (Py_ssize_t done = 0, row; done < count; done += row) {
        row = ring_row(ring, first + done, count - done);
        memcpy(pcm + done, ring_at(ring, first + done), (size_t)row * 2);
    }
}

static inline PyObject *ring_bytes(const Ring *ring, Py_ssize_t first, Py_ssize_t count)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, count * 2);
    if (bytes != NULL)
        ring_read(ring, first, (int16_t *)(void *)PyBytes_AsString(bytes), count);
    return bytes;
}

/* Give it another capacity; of what it holds, keep so many samples, which are counted from 0 now. */
static inline int ring_grow(Ring *ring, Py_ssize_t capacity, Py_ssize_t first, Py_ssize_t count)
{
    int16_t *fresh = malloc((size_t)capacity * 2);
    if (fresh == NULL)
        return -1;
    ring_read(ring, first, fresh, count);
    free(ring->samples);
    ring->samples = fresh;
    ring->capacity = capacity;
    return 0;
}

#endif
