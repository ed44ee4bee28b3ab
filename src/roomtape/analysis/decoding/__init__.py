"""FFmpeg, in a process of its own: whatever a stranger's file does to a codec, it does it there.

``python -m roomtape.analysis.decoding adts|container|wav`` reads the file that is its standard
input, and writes :mod:`messages <.messages>` to its standard output. Its memory is limited, and the
time that it may take without giving anything. Neither NumPy nor the rest of Roomtape is loaded.
"""
