"""Recording every room of a LiveKit service, on any number of machines.

A *worker* is what runs on one machine: a parent process that finds rooms, holds their leases and
answers HTTP, and a few recorder processes (:mod:`.recorder`) that do nothing but record. What the
workers share is in Redis (:mod:`.redis_leases`); what is on disk, in :mod:`.files`.
"""
