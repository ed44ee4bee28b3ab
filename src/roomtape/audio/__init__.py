"""The audio core: placing, mixing, limiting, resampling and encoding.

Nothing in this package reads a clock, opens a file or knows asyncio. Time comes in as an
argument, in integer nanoseconds or integer samples, so the same code runs live, offline and
under a scripted clock.

The way of a sample::

    SourceTrack -> Timeline (Placement, SampleBuffer, DriftTracker, varispeed) -> Mixer -> Limiter
                -> Encoder

Positions are integer samples on the *room grid*: sample ``n`` at rate ``R`` is ``n / R``
seconds after the start of the recording.
"""
