/* A FastPath holds one source at one rate while nothing has to be decided: each frame continues the
 * one before it, none comes too late, and nothing is missing before the mix head. Whatever else
 * happens is not decided here: place() stops at the first frame that is not so, and the timeline
 * takes everything back and goes on in Python.
 *
 * Nor are the books kept here: what was read is remembered block by block until it is asked for.
 *
 * One ring holds what was read in the last two seconds, what waits for the mix head, and what was
 * pushed and is not placed yet, one behind the other:
 *
 *     [ kept ........ head ........ placed ........ pushed )
 *
 * The interpreter's lock is held throughout, so a push from another thread is all or nothing. What
 * may run Python code (converting an argument, getting or releasing a buffer) comes before a method
 * looks at the object, or after it is done with it.
 *
 * Any method may be called at any time, with anything. Every number that comes from outside is
 * within MOST, so that no sum of a few of them overflows; an object is whole from __new__ on.
 */

#include "_native.h"
#include "_ring.h"

#include <structmember.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000

/* Positions, timestamps and nanoseconds, up or down. */
#define MOST (INT64_C(1) << 60)
/* Timestamps that a push brings; larger ones go the long way (inbox.py). */
#define MOST_PTS (INT64_C(1) << 59)
#define MOST_RATE_HZ (1 << 20)
/* What is given in samples at the start: hours of them. */
#define MOST_SAMPLES (INT64_C(1) << 30)

/* What place() says of what was pushed; see Left in fast_path.py. */
enum { NOTHING, MORE, ODD, UNSURE };

/* So many blocks, some ten seconds, are remembered before somebody is told to ask for them. */
#define MOST_HEARD 100
/* And so many gaps: for as long, if there is one every 400 ms. */
#define MOST_UNSENT 24

typedef struct {
    int64_t at, pts;
    int32_t count, gap; /* so many zeros before it, which were never sent, are in the ring */
    char timed, gap_is_silence;
} Frame;

typedef struct {
    int64_t stop; /* the position behind it */
    int peak;
} Block;

typedef struct {
    int64_t start, stop; /* positions */
} Stretch;

typedef struct {
    int64_t at, delay; /* when a frame came, and how long after it would have been heard */
} Delay;

typedef struct {
    PyObject_HEAD
    /* What every push looks at comes first, so that it is in one place of the cache. */
    char open; /* whether push() takes anything */
    char last_timed;
    int64_t rate, most_pushed;
    long long last_arrived_ns, taken;
    /* Samples in the ring. */
    Ring ring;
    Py_ssize_t kept, placed, pushed;
    /* What was pushed and is not placed; so much of it are gaps. */
    Frame *frames;
    Py_ssize_t frames_capacity, first_frame, end_frame, gaps;
    int64_t pushed_pts; /* behind the last of it */

    int64_t block, late, untimed_late, ahead, keep;
    Py_ssize_t head;
    int64_t head_position; /* where the sample at `head` stands in the timeline */
    /* What was read and not told yet. */
    Block *heard;
    Py_ssize_t heard_capacity, heard_count;
    /* What was placed, was never sent, and is not told yet. */
    Stretch unsent[MOST_UNSENT];
    int unsent_count;
    /* The two least delays since they were asked for, the least one first. */
    Delay least[2];
    int least_count;
    int level; /* the peak of the last block */
    /* The timestamp expected next, and the anchor; from begin() to end(). */
    int64_t next_pts, anchor, playout_offset, last_at;
    int has_last_at, begun;
    /* What is of no interest yet: delays before `window_end`, and reading up to `calm_until`. */
    int64_t window_end, calm_until;
} FastPath;

static int within(int64_t number, int64_t most)
{
    return -most <= number && number <= most;
}

/* -- the ring ---------------------------------------------------------------------------------- */

static int64_t position_of(int64_t ns, int64_t rate)
{
    int64_t seconds = ns / NS_PER_S, rest = ns % NS_PER_S;
    if (rest < 0) {
        seconds -= 1;
        rest += NS_PER_S;
    }
    return seconds * rate + rest * rate / NS_PER_S;
}

/* Make room for so many more samples. */
static int reserve(FastPath *self, Py_ssize_t more)
{
    Py_ssize_t start = self->kept, used = self->pushed - start, needed = used + more;
    if (needed <= self->ring.capacity)
        return 0;
    Py_ssize_t usual = (Py_ssize_t)(self->keep + self->rate + self->rate / 2);
    Py_ssize_t capacity = needed <= usual ? usual : needed + needed / 2;
    if (ring_grow(&self->ring, capacity, start, used) < 0)
        return -1;
    self->kept = 0;
    self->head -= start;
    self->placed -= start;
    self->pushed -= start;
    return 0;
}

static Frame *add_frame(FastPath *self)
{
    if (self->end_frame == self->frames_capacity) {
        Py_ssize_t waiting = self->end_frame - self->first_frame;
        if (waiting * 2 > self->frames_capacity || self->frames == NULL) {
            Py_ssize_t capacity = waiting * 2 > 16 ? waiting * 2 : 16;
            Frame *fresh = malloc((size_t)capacity * sizeof(Frame));
            if (fresh == NULL)
                return NULL;
            if (waiting)
                memcpy(fresh, self->frames + self->first_frame, (size_t)waiting * sizeof(Frame));
            free(self->frames);
            self->frames = fresh;
            self->frames_capacity = capacity;
        } else {
            memmove(self->frames, self->frames + self->first_frame, (size_t)waiting * sizeof(Frame));
        }
        self->first_frame = 0;
        self->end_frame = waiting;
    }
    return &self->frames[self->end_frame++];
}

/* -- pushing ----------------------------------------------------------------------------------- */

/* How much silence stands before a frame with this timestamp, if it says so; none if it is too long. */
static Py_ssize_t gap_before(const FastPath *self, int64_t pts)
{
    int64_t expected = self->first_frame < self->end_frame ? self->pushed_pts : self->next_pts;
    int64_t gap = pts - expected;
    return self->begun && 0 < gap && gap <= self->rate ? (Py_ssize_t)gap : 0;
}

static PyObject *fast_path_push(FastPath *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 5) {
        PyErr_SetString(PyExc_TypeError, "push takes pcm, sample_rate, pts, arrived_ns, gap_is_silence");
        return NULL;
    }
    if (!self->open)
        Py_RETURN_FALSE;
    int64_t rate = PyLong_AsLongLong(args[1]), arrived_ns = PyLong_AsLongLong(args[3]), pts = 0;
    int timed = args[2] != Py_None, gap = PyObject_IsTrue(args[4]);
    if (timed)
        pts = PyLong_AsLongLong(args[2]);
    Py_buffer pcm;
    if (PyErr_Occurred() || rate != self->rate || !within(pts, MOST_PTS - 1) || !within(arrived_ns, MOST) ||
        PyObject_GetBuffer(args[0], &pcm, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) {
        PyErr_Clear(); /* whoever is asked next says what is wrong with it */
        Py_RETURN_FALSE;
    }
    int plain = pcm.itemsize == 2 && pcm.format != NULL && strcmp(pcm.format, "h") == 0 &&
                (pcm.ndim == 1 || (pcm.ndim == 2 && (pcm.shape[1] == 1 || pcm.shape[1] == 2)));
    Py_ssize_t count = plain ? pcm.shape[0] : 0, silence = timed && gap ? gap_before(self, pts) : 0;
    Frame *frame = NULL;
    /* Asked once more: Python code may have run since. */
    if (self->open && count > 0 && count + silence <= self->most_pushed - (self->pushed - self->placed) &&
        reserve(self, count + silence) == 0)
        frame = add_frame(self);
    if (frame != NULL) {
        ring_silence(&self->ring, self->pushed, silence);
        self->pushed += silence;
        self->gaps += silence;
        if (pcm.ndim == 2 && pcm.shape[1] == 2) {
            for (Py_ssize_t done = 0, row; done < count; done += row) {
                row = ring_row(&self->ring, self->pushed + done, count - done);
                mix_down(ring_at(&self->ring, self->pushed + done), (const int16_t *)pcm.buf + 2 * done,
                         row);
            }
        } else {
            ring_write(&self->ring, self->pushed, pcm.buf, count);
        }
        self->pushed += count;
        self->taken += count;
        frame->at = position_of(arrived_ns, rate);
        frame->pts = pts;
        frame->count = (int32_t)count;
        frame->gap = (int32_t)silence;
        frame->timed = (char)timed;
        frame->gap_is_silence = (char)gap;
        self->pushed_pts = (timed ? pts : self->pushed_pts) + count;
        self->last_arrived_ns = arrived_ns;
        self->last_timed = (char)timed;
    }
    PyBuffer_Release(&pcm);
    return PyBool_FromLong(frame != NULL);
}

static PyObject *fast_path_take(FastPath *self, PyObject *Py_UNUSED(none))
{
    PyObject *taken = PyList_New(0);
    if (taken == NULL)
        return NULL;
    Py_ssize_t start = self->placed;
    for (Py_ssize_t i = self->first_frame; i < self->end_frame; i++) {
        const Frame *frame = &self->frames[i];
        start += frame->gap;
        PyObject *pcm = ring_bytes(&self->ring, start, frame->count);
        PyObject *pts = frame->timed ? PyLong_FromLongLong(frame->pts) : Py_NewRef(Py_None);
        PyObject *item = Py_BuildValue("(NLNO)", pcm, (long long)frame->at, pts,
                                       frame->gap_is_silence ? Py_True : Py_False);
        if (item == NULL || PyList_Append(taken, item) < 0) {
            Py_XDECREF(item);
            Py_DECREF(taken);
            return NULL;
        }
        Py_DECREF(item);
        start += frame->count;
    }
    self->first_frame = self->end_frame = 0;
    self->pushed = self->placed;
    self->gaps = 0;
    return taken;
}

/* -- placing and reading ------------------------------------------------------------------------ */

static PyObject *fast_path_begin(FastPath *self, PyObject *args)
{
    Py_buffer pcm;
    PyObject *last_arg;
    long long position, next_pts, anchor, playout_offset, last_at = 0;
    if (!PyArg_ParseTuple(args, "y*LLLLO", &pcm, &position, &next_pts, &anchor, &playout_offset, &last_arg))
        return NULL;
    if (last_arg != Py_None)
        last_at = PyLong_AsLongLong(last_arg);
    if (PyErr_Occurred() || !within(position, MOST) || !within(next_pts, MOST) || !within(anchor, MOST) ||
        !within(playout_offset, MOST) || !within(last_at, MOST)) {
        PyBuffer_Release(&pcm);
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "begin needs positions and timestamps below 2**60");
        return NULL;
    }
    /* It comes before what was pushed meanwhile. */
    Py_ssize_t count = pcm.len / 2;
    self->kept = self->head = self->placed;
    if (reserve(self, count) < 0) {
        PyBuffer_Release(&pcm);
        return PyErr_NoMemory();
    }
    if (self->placed < count) { /* to where they stand already */
        self->placed += self->ring.capacity;
        self->pushed += self->ring.capacity;
    }
    self->kept = self->head = self->placed - count;
    ring_write(&self->ring, self->head, pcm.buf, count);
    self->head_position = position;
    self->begun = 1;
    self->next_pts = next_pts;
    self->anchor = anchor;
    self->playout_offset = playout_offset;
    self->has_last_at = last_arg != Py_None;
    self->last_at = last_at;
    self->heard_count = self->unsent_count = self->least_count = 0;
    self->window_end = self->calm_until = INT64_MIN; /* until it is said: all is of interest */
    PyBuffer_Release(&pcm);
    Py_RETURN_NONE;
}

static PyObject *fast_path_expect(FastPath *self, PyObject *args)
{
    long long window_end, calm_until;
    if (!PyArg_ParseTuple(args, "LL", &window_end, &calm_until))
        return NULL;
    self->window_end = window_end;
    self->calm_until = calm_until;
    Py_RETURN_NONE;
}

/* What a call of place() comes to. */
typedef struct {
    Py_ssize_t frames, samples; /* so many of both are placed, the gap among them */
    int64_t gap, gap_end;
    int64_t last_at;
    Delay least; /* of the one that was delayed least */
    int has_last_at, found, telling, left;
} Step;

static Step next_step(const FastPath *self, int64_t now)
{
    Step step = {.last_at = self->last_at, .has_last_at = self->has_last_at};
    int64_t place = self->next_pts + self->anchor;
    int again = 0;
    Py_ssize_t next = self->first_frame;
    for (; next < self->end_frame && !step.gap; next++) {
        const Frame *frame = &self->frames[next];
        int64_t late = frame->at - (place + frame->gap) - self->playout_offset;
        if ((frame->timed && frame->pts != place - self->anchor + frame->gap) ||
            late > (frame->timed ? self->late : self->untimed_late))
            break;
        if (frame->gap) {
            if (2 * late < -self->ahead) /* as in Placement._fits() */
                break;
            again = step.frames > 0 || self->unsent_count == MOST_UNSENT; /* it is a run of its own */
            if (again)
                break;
            step.gap = frame->gap;
            place += step.gap;
            step.gap_end = place;
        }
        int queued = step.has_last_at && frame->at - step.last_at < frame->count / 2;
        step.last_at = frame->at;
        step.has_last_at = 1;
        if (!(queued && (!frame->timed || late < 0)) && -self->ahead <= late && late <= self->late &&
            (!step.found || late < step.least.delay)) {
            step.least = (Delay){frame->at, late};
            step.found = 1;
        }
        place += frame->count;
        step.frames++;
    }
    step.samples = (Py_ssize_t)(place - self->anchor - self->next_pts);
    again = again || (next < self->end_frame && step.gap);
    /* A mixer that has fallen behind sees what came since: that is not ahead. */
    int64_t seen = step.has_last_at && step.last_at > now ? step.last_at : now;
    step.telling = step.found && step.least.at >= self->window_end;
    int sure = self->open && place + self->playout_offset - seen <= self->ahead;
    step.left = again ? MORE : next < self->end_frame ? ODD : sure ? NOTHING : UNSURE;
    return step;
}

static int is_less(const Delay *one, const Delay *other)
{
    return one->delay < other->delay || (one->delay == other->delay && one->at < other->at);
}

static void remember_delay(FastPath *self, Delay found)
{
    Delay *least = self->least;
    if (self->least_count < 2)
        least[self->least_count++] = found;
    else if (is_less(&found, &least[1]))
        least[1] = found;
    if (self->least_count == 2 && is_less(&least[1], &least[0])) {
        Delay first = least[0];
        least[0] = least[1];
        least[1] = first;
    }
}

static void take_step(FastPath *self, const Step *step)
{
    self->next_pts += step->samples;
    self->placed += step->samples;
    self->gaps -= step->gap;
    self->first_frame += step->frames;
    self->last_at = step->last_at;
    self->has_last_at = step->has_last_at;
    if (step->gap)
        self->unsent[self->unsent_count++] = (Stretch){step->gap_end - step->gap, step->gap_end};
    if (step->found && !step->telling)
        remember_delay(self, step->least);
}

static PyObject *fast_path_place(FastPath *self, PyObject *now_arg)
{
    int64_t now = PyLong_AsLongLong(now_arg);
    if (now == -1 && PyErr_Occurred())
        return NULL;
    if (!within(now, MOST)) {
        PyErr_SetString(PyExc_ValueError, "place needs a position below 2**60");
        return NULL;
    }
    Step step = next_step(self, now);
    take_step(self, &step);
    if (step.left == NOTHING && !step.telling)
        Py_RETURN_NONE;
    if (!step.telling)
        return Py_BuildValue("(iO)", step.left, Py_None);
    return Py_BuildValue("(i(LL))", step.left, (long long)step.least.at, (long long)step.least.delay);
}

static PyObject *fast_path_delays(FastPath *self, PyObject *Py_UNUSED(none))
{
    PyObject *told = PyList_New(0);
    for (int i = 0; told != NULL && i < self->least_count; i++) {
        const Delay *each = &self->least[i];
        PyObject *item = Py_BuildValue("(LL)", (long long)each->at, (long long)each->delay);
        if (item == NULL || PyList_Append(told, item) < 0)
            Py_CLEAR(told);
        Py_XDECREF(item);
    }
    if (told != NULL)
        self->least_count = 0;
    return told;
}

static PyObject *fast_path_unsent(FastPath *self, PyObject *Py_UNUSED(none))
{
    PyObject *told = PyList_New(0);
    for (int i = 0; told != NULL && i < self->unsent_count; i++) {
        const Stretch *each = &self->unsent[i];
        PyObject *item = Py_BuildValue("(LL)", (long long)each->start, (long long)each->stop);
        if (item == NULL || PyList_Append(told, item) < 0)
            Py_CLEAR(told);
        Py_XDECREF(item);
    }
    if (told != NULL)
        self->unsent_count = 0;
    return told;
}

/* Add what is read to the mix, and remember how loud it was. */
static int hear(FastPath *self, float *total, Py_ssize_t count)
{
    Py_ssize_t length = (Py_ssize_t)self->block, needed = self->heard_count + count / length + 1;
    if (needed > self->heard_capacity) {
        Py_ssize_t capacity = needed > 2 * MOST_HEARD ? needed : 2 * MOST_HEARD;
        Block *fresh = realloc(self->heard, (size_t)capacity * sizeof(Block));
        if (fresh == NULL)
            return -1;
        self->heard = fresh;
        self->heard_capacity = capacity;
    }
    for (Py_ssize_t start = 0; start < count; start += length) {
        if (length > count - start)
            length = count - start;
        self->level = 0;
        for (Py_ssize_t from = start, row; from < start + length; from += row) {
            row = ring_row(&self->ring, self->head + from, start + length - from);
            const int16_t *pcm = ring_at(&self->ring, self->head + from);
            int peak = peak_of(pcm, row);
            if (peak)
                add_samples(total + from, pcm, row);
            if (peak > self->level)
                self->level = peak;
        }
        self->heard[self->heard_count++] = (Block){self->head_position + start + length, self->level};
    }
    return 0;
}

/* Whether nobody need look at it when so much more is read. */
static int stays_calm(const FastPath *self, Py_ssize_t count)
{
    return self->head_position + count + self->playout_offset <= self->calm_until &&
           self->heard_count + (count + self->block - 1) / self->block < MOST_HEARD;
}

static int read_next(FastPath *self, float *total, Py_ssize_t count)
{
    if (hear(self, total, count) < 0)
        return -1;
    self->head += count;
    self->head_position += count;
    if (self->head - self->kept > self->keep)
        self->kept = self->head - (Py_ssize_t)self->keep;
    return 0;
}

static int get_total(PyObject *total, Py_buffer *out)
{
    if (PyObject_GetBuffer(total, out, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0)
        return -1;
    if (out->format != NULL && strcmp(out->format, "f") == 0)
        return 0;
    PyBuffer_Release(out);
    PyErr_SetString(PyExc_ValueError, "what is added to must be float32");
    return -1;
}

static PyObject *fast_path_add_to(FastPath *self, PyObject *total)
{
    Py_buffer out;
    if (get_total(total, &out) < 0)
        return NULL;
    Py_ssize_t count = out.len / (Py_ssize_t)sizeof(float);
    if (count > self->placed - self->head) {
        PyBuffer_Release(&out);
        PyErr_SetString(PyExc_ValueError, "add_to takes no more than waits");
        return NULL;
    }
    int calm = stays_calm(self, count), failed = read_next(self, out.buf, count);
    PyBuffer_Release(&out);
    return failed ? PyErr_NoMemory() : PyBool_FromLong(calm);
}

static PyObject *fast_path_heard(FastPath *self, PyObject *Py_UNUSED(none))
{
    PyObject *told = PyList_New(0);
    for (Py_ssize_t i = 0; told != NULL && i < self->heard_count; i++) {
        const Block *block = &self->heard[i];
        PyObject *item = Py_BuildValue("(Li)", (long long)(block->stop + self->playout_offset), block->peak);
        if (item == NULL || PyList_Append(told, item) < 0)
            Py_CLEAR(told);
        Py_XDECREF(item);
    }
    if (told != NULL)
        self->heard_count = 0;
    return told;
}

static PyObject *fast_path_end(FastPath *self, PyObject *Py_UNUSED(none))
{
    PyObject *last_at = self->has_last_at ? PyLong_FromLongLong(self->last_at) : Py_NewRef(Py_None);
    if (last_at == NULL)
        return NULL;
    PyObject *kept = ring_bytes(&self->ring, self->kept, self->placed - self->kept);
    if (kept == NULL) {
        Py_DECREF(last_at);
        return NULL;
    }
    Py_ssize_t read = self->head - self->kept;
    self->kept = self->head = self->placed;
    self->begun = 0;
    return Py_BuildValue("(NnLLN)", kept, read, (long long)self->head_position,
                         (long long)self->next_pts, last_at);
}

/* -- many at once ------------------------------------------------------------------------------ */

/* What do() does not do for one of them, it leaves as it was; gives the indexes of those. */
static PyObject *each_but(PyObject *type, PyObject *paths, int (*done)(FastPath *, Py_ssize_t, void *),
                          void *how)
{
    if (!PyList_Check(paths)) {
        PyErr_SetString(PyExc_TypeError, "the paths must be a list");
        return NULL;
    }
    PyObject *others = PyList_New(0);
    for (Py_ssize_t i = 0; others != NULL && i < PyList_Size(paths); i++) {
        PyObject *path = PyList_GetItem(paths, i);
        if (PyObject_TypeCheck(path, (PyTypeObject *)type) && done((FastPath *)(void *)path, i, how))
            continue;
        PyObject *index = PyLong_FromSsize_t(i);
        if (index == NULL || PyList_Append(others, index) < 0)
            Py_CLEAR(others);
        Py_XDECREF(index);
    }
    return others;
}

static int placed_calmly(FastPath *self, Py_ssize_t Py_UNUSED(index), void *now_ns)
{
    if (!self->begun)
        return 0;
    Step step = next_step(self, position_of(*(int64_t *)now_ns, self->rate));
    if (step.left != NOTHING || step.telling)
        return 0;
    take_step(self, &step);
    return 1;
}

static PyObject *fast_path_place_all(PyObject *type, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "place_all takes paths and now_ns");
        return NULL;
    }
    int64_t now_ns = PyLong_AsLongLong(args[1]);
    if (now_ns == -1 && PyErr_Occurred())
        return NULL;
    if (!within(now_ns, MOST)) {
        PyErr_SetString(PyExc_ValueError, "place_all needs a time below 2**60");
        return NULL;
    }
    return each_but(type, args[0], placed_calmly, &now_ns);
}

typedef struct {
    float *total;
    Py_ssize_t count;
    int64_t stop;
    PyObject *copies; /* a list, or NULL */
} Reading;

/* Copy what is read next to where somebody wants it as it is. */
static int copy_next(const FastPath *self, PyObject *copy, Py_ssize_t count)
{
    Py_buffer out;
    if (PyObject_GetBuffer(copy, &out, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) {
        PyErr_Clear();
        return -1;
    }
    int right = out.format != NULL && strcmp(out.format, "h") == 0 && out.len == 2 * count;
    if (right)
        ring_read(&self->ring, self->head, out.buf, count);
    PyBuffer_Release(&out);
    return right ? 0 : -1;
}

static int added_calmly(FastPath *self, Py_ssize_t index, void *reading_arg)
{
    const Reading *reading = reading_arg;
    PyObject *copy = reading->copies == NULL ? NULL : PyList_GetItem(reading->copies, index);
    if (reading->copies != NULL && copy == NULL) {
        PyErr_Clear(); /* the list is too short */
        return 0;
    }
    return self->begun && self->head_position + self->playout_offset == reading->stop - reading->count &&
           reading->count <= self->placed - self->head && stays_calm(self, reading->count) &&
           (copy == NULL || copy_next(self, copy, reading->count) == 0) &&
           read_next(self, reading->total, reading->count) == 0;
}

static PyObject *fast_path_add_all(PyObject *type, PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer out;
    if ((nargs != 3 && nargs != 4) || (nargs == 4 && !PyList_Check(args[3]))) {
        PyErr_SetString(PyExc_TypeError, "add_all takes paths, total and stop, and a list of copies");
        return NULL;
    }
    int64_t stop = PyLong_AsLongLong(args[2]);
    if (stop == -1 && PyErr_Occurred())
        return NULL;
    if (!within(stop, MOST)) {
        PyErr_SetString(PyExc_ValueError, "add_all needs a position below 2**60");
        return NULL;
    }
    if (get_total(args[1], &out) < 0)
        return NULL;
    Reading reading = {out.buf, out.len / (Py_ssize_t)sizeof(float), stop, nargs == 4 ? args[3] : NULL};
    PyObject *others = each_but(type, args[0], added_calmly, &reading);
    PyBuffer_Release(&out);
    return others;
}

/* -- the type ---------------------------------------------------------------------------------- */

static PyObject *fast_path_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"rate_hz", "block", "late", "untimed_late", "ahead", "keep", "most_pushed", NULL};
    long long rate, block, late, untimed_late, ahead, keep, most_pushed;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "LLLLLLL", names, &rate, &block, &late, &untimed_late,
                                     &ahead, &keep, &most_pushed))
        return NULL;
    if (rate <= 0 || rate > MOST_RATE_HZ || block <= 0 || block > MOST_SAMPLES ||
        !within(late, MOST_SAMPLES) || !within(untimed_late, MOST_SAMPLES) ||
        !within(ahead, MOST_SAMPLES) || keep < 0 || keep > MOST_SAMPLES || most_pushed <= 0 ||
        most_pushed > MOST_SAMPLES) {
        PyErr_SetString(PyExc_ValueError, "a fast path needs a rate, a block, and room, within bounds");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    FastPath *self = (FastPath *)(void *)allocate(type, 0); /* all of it zero */
    if (self == NULL)
        return NULL;
    self->rate = rate;
    self->block = block;
    self->late = late;
    self->untimed_late = untimed_late;
    self->ahead = ahead;
    self->keep = keep;
    self->most_pushed = most_pushed;
    return (PyObject *)self;
}

static void let_go(FastPath *self)
{
    free(self->ring.samples);
    free(self->frames);
    free(self->heard);
    self->ring = (Ring){NULL, 0};
    self->frames = NULL;
    self->heard = NULL;
    self->frames_capacity = self->first_frame = self->end_frame = self->gaps = 0;
    self->begun = 0;
    self->heard_capacity = self->heard_count = self->unsent_count = self->least_count = 0;
    self->kept = self->head = self->placed = self->pushed = 0;
}

static PyObject *fast_path_release(FastPath *self, PyObject *Py_UNUSED(none))
{
    self->open = 0;
    self->head_position += self->placed - self->head;
    let_go(self);
    Py_RETURN_NONE;
}

static void fast_path_dealloc(FastPath *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    let_go(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *fast_path_get_ready_end(FastPath *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(self->head_position + (self->placed - self->head));
}

static PyObject *fast_path_get_head(FastPath *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(self->head_position + self->playout_offset);
}

static PyObject *fast_path_get_pushed(FastPath *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->pushed - self->placed - self->gaps);
}

static PyMethodDef fast_path_methods[] = {
    {"push", (PyCFunction)(void (*)(void))fast_path_push, METH_FASTCALL, NULL},
    {"take", (PyCFunction)fast_path_take, METH_NOARGS, NULL},
    {"begin", (PyCFunction)fast_path_begin, METH_VARARGS, NULL},
    {"expect", (PyCFunction)fast_path_expect, METH_VARARGS, NULL},
    {"place", (PyCFunction)fast_path_place, METH_O, NULL},
    {"delays", (PyCFunction)fast_path_delays, METH_NOARGS, NULL},
    {"unsent", (PyCFunction)fast_path_unsent, METH_NOARGS, NULL},
    {"place_all", (PyCFunction)(void (*)(void))fast_path_place_all, METH_CLASS | METH_FASTCALL, NULL},
    {"add_all", (PyCFunction)(void (*)(void))fast_path_add_all, METH_CLASS | METH_FASTCALL, NULL},
    {"add_to", (PyCFunction)fast_path_add_to, METH_O, NULL},
    {"heard", (PyCFunction)fast_path_heard, METH_NOARGS, NULL},
    {"end", (PyCFunction)fast_path_end, METH_NOARGS, NULL},
    {"release", (PyCFunction)fast_path_release, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef fast_path_derived[] = {
    {"ready_end", (getter)fast_path_get_ready_end, NULL, NULL, NULL},
    {"head", (getter)fast_path_get_head, NULL, NULL, NULL},
    {"pushed", (getter)fast_path_get_pushed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef fast_path_members[] = {
    {"open", T_BOOL, offsetof(FastPath, open), 0, NULL},
    {"last_arrived_ns", T_LONGLONG, offsetof(FastPath, last_arrived_ns), READONLY, NULL},
    {"taken", T_LONGLONG, offsetof(FastPath, taken), READONLY, NULL},
    {"level", T_INT, offsetof(FastPath, level), READONLY, NULL},
    {"last_timed", T_BOOL, offsetof(FastPath, last_timed), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot fast_path_slots[] = {
    {Py_tp_new, fast_path_new},
    {Py_tp_dealloc, fast_path_dealloc},
    {Py_tp_methods, fast_path_methods},
    {Py_tp_getset, fast_path_derived},
    {Py_tp_members, fast_path_members},
    {0, NULL},
};

PyType_Spec fast_path_spec = {
    .name = "roomtape.audio.timing._native.FastPath",
    .basicsize = sizeof(FastPath),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = fast_path_slots,
};
