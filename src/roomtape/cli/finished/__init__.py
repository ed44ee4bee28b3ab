"""Commands about recordings that are finished."""
