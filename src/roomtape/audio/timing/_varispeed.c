/* The twin of varispeed.py: samples at a slightly other speed. All of it is whole numbers, so that
 * both give the same. */

#include "_native.h"

/* As in varispeed.py. */
#define TAPS 32
#define BEFORE (TAPS / 2 - 1)
#define PHASE_BITS 12
#define COEFFICIENT_BITS 24

#define AT_ONCE 256

VECTORIZED static void weigh(int64_t *restrict sums, const int16_t *samples, const int32_t *table,
                             const int64_t *positions, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        const int16_t *restrict window = samples + (positions[i] >> PHASE_BITS) - BEFORE;
        const int32_t *restrict weights = table + (positions[i] & ((1 << PHASE_BITS) - 1)) * TAPS;
        int64_t sum = 0;
        for (int tap = 0; tap < TAPS; tap++)
            sum += (int64_t)(int32_t)window[tap] * weights[tap];
        sums[i] = sum;
    }
}

/* To the nearest, and of two the even one. */
static int16_t rounded(int64_t sum)
{
    int64_t half = ((int64_t)1 << (COEFFICIENT_BITS - 1)) - 1;
    int64_t whole = (sum + half + ((sum >> COEFFICIENT_BITS) & 1)) >> COEFFICIENT_BITS;
    whole = whole > 32767 ? 32767 : whole;
    return (int16_t)(whole < -32768 ? -32768 : whole);
}

/* Where the samples are read: 1 << PHASE_BITS further for each, less what the slew has moved. */
struct walk {
    int64_t position, moved, rest;
    int64_t step, step_rest, length;
};

static int64_t floored(int64_t number, int64_t by)
{
    return number / by - (number % by < 0);
}

static void walk_on(struct walk *walk, int64_t *restrict positions, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        positions[i] = walk->position - walk->moved;
        walk->position += 1 << PHASE_BITS;
        walk->moved += walk->step;
        walk->rest += walk->step_rest;
        if (walk->rest >= walk->length) {
            walk->rest -= walk->length;
            walk->moved++;
        }
    }
}

static int warp(int16_t *pcm, Py_ssize_t count, const int16_t *samples, Py_ssize_t there,
                const int32_t *table, struct walk walk)
{
    int64_t positions[AT_ONCE], sums[AT_ONCE];
    for (Py_ssize_t done = 0; done < count; done += AT_ONCE) {
        Py_ssize_t now = count - done < AT_ONCE ? count - done : AT_ONCE;
        walk_on(&walk, positions, now);
        for (Py_ssize_t i = 0; i < now; i++) {
            int64_t whole = positions[i] >> PHASE_BITS;
            if (whole < BEFORE || whole - BEFORE + TAPS > there)
                return 0;
        }
        weigh(sums, samples, table, positions, now);
        for (Py_ssize_t i = 0; i < now; i++)
            pcm[done + i] = rounded(sums[i]);
    }
    return 1;
}

PyObject *native_warp(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer pcm, samples, table;
    long long first, done, length, change;
    if (!PyArg_ParseTuple(args, "w*y*y*LLLL", &pcm, &samples, &table, &first, &done, &length,
                          &change))
        return NULL;
    /* Within these, no product leaves 64 bits. */
    const int64_t most_length = (int64_t)1 << 34, most_first = (int64_t)1 << 40, most_change = 1 << 16;
    int right = pcm.len % 2 == 0 && samples.len % 2 == 0 &&
                table.len == (TAPS << PHASE_BITS) * (Py_ssize_t)sizeof(int32_t) && 0 <= done &&
                done <= length && 0 < length && length < most_length && -most_first < first &&
                first < most_first && -most_change < change && change < most_change;
    if (right) {
        int64_t step = (int64_t)change * (1 << PHASE_BITS), a_sample = floored(step, length);
        int64_t moved = floored(step * done, length);
        struct walk walk = {
            .position = (int64_t)first * (1 << PHASE_BITS),
            .moved = moved,
            .rest = step * done - moved * length,
            .step = a_sample,
            .step_rest = step - a_sample * length,
            .length = length,
        };
        right = warp(pcm.buf, pcm.len / 2, samples.buf, samples.len / 2, table.buf, walk);
    }
    PyBuffer_Release(&pcm);
    PyBuffer_Release(&samples);
    PyBuffer_Release(&table);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "warp needs int16, int16 enough for all of it, and a slew");
        return NULL;
    }
    Py_RETURN_NONE;
}
