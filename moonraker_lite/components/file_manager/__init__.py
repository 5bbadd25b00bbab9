"""Files: roots, listings, metadata, uploads, downloads, and every change that is made to them, here or from outside.

What stands on disk is mirrored by an index that follows inotify; everything that lists, searches or announces files
asks the index. Changes of both kinds, those of the API and those of the kernel, go through one reducer, which makes an
ordered list of them and announces each once.
"""

from __future__ import annotations
