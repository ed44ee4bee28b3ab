/* The accelerator of the audio core. Everything here has a twin in Python that does the same, sample
 * by sample, and is used where this module was not built. The fast path is in _fast_path.c,
 * and varispeed in _varispeed.c.
 */

#include "_native.h"

#include <string.h>

VECTORIZED void add_samples(float *restrict total, const int16_t *restrict pcm, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        total[i] += (float)pcm[i];
}

VECTORIZED int peak_of(const int16_t *pcm, Py_ssize_t count)
{
    int16_t high = 0, low = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        high = pcm[i] > high ? pcm[i] : high;
        low = pcm[i] < low ? pcm[i] : low;
    }
    return high > -(int)low ? high : -(int)low;
}

VECTORIZED void mix_down(int16_t *restrict mono, const int16_t *restrict stereo, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        mono[i] = (int16_t)(((int32_t)stereo[2 * i] + stereo[2 * i + 1]) >> 1);
}

VECTORIZED static int all_within(const float *samples, Py_ssize_t count)
{
    int out = 0;
    for (Py_ssize_t i = 0; i < count; i++)
        out |= (samples[i] > 32767.0f) | (samples[i] < -32768.0f);
    return !out;
}

/* Adding this and taking it away again leaves a whole number, the nearest, and of two the even one:
 * below 2^22 no float has room for more. */
#define ROUNDING 12582912.0f

VECTORIZED static void round_carrying(int16_t *restrict pcm, const float *restrict samples,
                                      float *restrict carried, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        int is_whole = (samples[i] + ROUNDING) - ROUNDING == samples[i];
        float exact = samples[i] + carried[i];
        float whole = (exact + ROUNDING) - ROUNDING;
        carried[i] = is_whole ? carried[i] : exact - whole;
        int32_t number = (int32_t)(is_whole ? samples[i] : whole); /* a half too much is one too much */
        number = number > 32767 ? 32767 : number;
        pcm[i] = (int16_t)(number < -32768 ? -32768 : number);
    }
}

static PyObject *native_add(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer total, pcm;
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "add takes total and pcm");
        return NULL;
    }
    if (PyObject_GetBuffer(args[0], &total, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0)
        return NULL;
    if (PyObject_GetBuffer(args[1], &pcm, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) {
        PyBuffer_Release(&total);
        return NULL;
    }
    int right = total.format != NULL && strcmp(total.format, "f") == 0 && pcm.format != NULL &&
                strcmp(pcm.format, "h") == 0 && total.len == 2 * pcm.len;
    if (right)
        add_samples(total.buf, pcm.buf, pcm.len / 2);
    else
        PyErr_SetString(PyExc_ValueError, "add needs float32 and int16 of one length");
    PyBuffer_Release(&total);
    PyBuffer_Release(&pcm);
    if (!right)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *native_within_full_scale(PyObject *Py_UNUSED(module), PyObject *samples)
{
    Py_buffer view;
    if (PyObject_GetBuffer(samples, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0)
        return NULL;
    if (view.format == NULL || strcmp(view.format, "f") != 0) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "within_full_scale needs float32");
        return NULL;
    }
    int within = all_within(view.buf, view.len / (Py_ssize_t)sizeof(float));
    PyBuffer_Release(&view);
    return PyBool_FromLong(within);
}

static PyObject *native_round_off(PyObject *Py_UNUSED(module), PyObject *const *args,
                                  Py_ssize_t nargs)
{
    static const char *const formats[3] = {"h", "f", "f"};
    static const int flags[3] = {PyBUF_WRITABLE, 0, PyBUF_WRITABLE};
    Py_buffer views[3];
    Py_ssize_t taken = 0, counts[3];
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "round_off takes pcm, samples and carried");
        return NULL;
    }
    int right = 1;
    for (; taken < 3; taken++) {
        Py_buffer *view = &views[taken];
        int flag = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | flags[taken];
        if (PyObject_GetBuffer(args[taken], view, flag) < 0)
            break;
        right &= view->format != NULL && strcmp(view->format, formats[taken]) == 0;
        counts[taken] = view->itemsize > 0 ? view->len / view->itemsize : 0;
    }
    right &= taken == 3 && counts[0] == counts[1] && counts[1] == counts[2];
    if (right)
        round_carrying(views[0].buf, views[1].buf, views[2].buf, counts[0]);
    else if (taken == 3)
        PyErr_SetString(PyExc_ValueError, "round_off needs int16, float32 and float32 of one length");
    while (taken > 0)
        PyBuffer_Release(&views[--taken]);
    if (!right)
        return NULL;
    Py_RETURN_NONE;
}

static int native_exec(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&fast_path_spec);
    if (type == NULL)
        return -1;
    int failed = PyModule_AddObjectRef(module, "FastPath", type);
    Py_DECREF(type);
    return failed;
}

static PyMethodDef native_methods[] = {
    {"add", (PyCFunction)(void (*)(void))native_add, METH_FASTCALL, NULL},
    {"round_off", (PyCFunction)(void (*)(void))native_round_off, METH_FASTCALL, NULL},
    {"warp", native_warp, METH_VARARGS, NULL},
    {"within_full_scale", native_within_full_scale, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot native_slots[] = {
    {Py_mod_exec, native_exec},
    {0, NULL},
};

static struct PyModuleDef native_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "roomtape.audio.timing._native",
    .m_size = 0,
    .m_methods = native_methods,
    .m_slots = native_slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&native_module);
}
