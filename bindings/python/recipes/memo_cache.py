"""A memo cache: what a function has returned for some arguments is kept on disk, for the next run
too, and threads that want the same result at once wait for one computation."""

import functools
import hashlib
import json
import sys
import tempfile
import threading

import hotcold


class MemoCache:
    """Results of functions, in a directory.

    Arguments and results are what JSON has; other functions want another way to make a key. A
    result is kept for `ttl` seconds, or for ever. What a function raises is raised, and not kept.
    """

    def __init__(self, directory, **options):
        self.store = hotcold.Store(directory, **options)

    def memoize(self, ttl=None, version=1):
        """Decorates a function. Give it another version when it computes something else."""

        def decorate(function):
            prefix = f"{function.__module__}.{function.__qualname__}/{version}/".encode()

            @functools.wraps(function)
            def remembered(*args, **kwargs):
                # A digest, because arguments may be longer than a key may be.
                asked = json.dumps([args, kwargs], sort_keys=True).encode()
                key = prefix + hashlib.sha256(asked).digest()

                def load(_key):
                    return json.dumps(function(*args, **kwargs)).encode(), ttl

                return json.loads(bytes(self.store.retrieve_or_load(key, load)))

            def forget():
                """Forgets all results of this function."""
                for key in self.store.keys(prefix):
                    self.store.delete(key)

            remembered.forget = forget
            return remembered

        return decorate

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.store.close()


def main(directory):
    calls = []

    def use_cache():
        with MemoCache(directory, hot_capacity="16MiB", cold_capacity="1GiB") as cache:

            @cache.memoize(ttl=3600)
            def count_primes(below):
                calls.append(below)
                return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, below))

            results = []
            threads = [
                threading.Thread(target=lambda: results.append(count_primes(20_000)))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert results == [2262] * 4

    use_cache()
    use_cache()  # as another run would: what the first has computed is there
    assert len(calls) <= 1
    print(f"8 calls, {len(calls)} computed")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as directory:
            main(directory)
