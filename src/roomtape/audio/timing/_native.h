/* What the files of the accelerator share. */

#ifndef ROOMTAPE_NATIVE_H
#define ROOMTAPE_NATIVE_H

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__)
#define VECTORIZED __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define VECTORIZED
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

void add_samples(float *restrict total, const int16_t *restrict pcm, Py_ssize_t count);

/* The largest absolute sample, 0 to 32768. */
int peak_of(const int16_t *pcm, Py_ssize_t count);

/* As mixed_down() does it for two channels. */
void mix_down(int16_t *restrict mono, const int16_t *restrict stereo, Py_ssize_t count);

extern PyType_Spec fast_path_spec;

PyObject *native_warp(PyObject *module, PyObject *args);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
