"""Stock pynetdicom as a sender, `send_c_store(path)`, as its documentation shows.

    python -m bench.stock PORT FILE…

Prints the seconds that it took; exit code 1 where it lost an answer.
"""

from __future__ import annotations

import sys
import time

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_context


def main(port: int, paths: list[str]) -> int:
    """Send the files over one association."""
    entity = AE()
    entity.requested_contexts = [build_context(CTImageStorage, ExplicitVRLittleEndian)]
    began = time.perf_counter()
    association = entity.associate("127.0.0.1", port, ae_title="PACS")
    answers = []
    for number, path in enumerate(paths, start=1):
        if association.is_established:
            answers.append(association.send_c_store(path, msg_id=number % 65536))
    association.release()
    print(time.perf_counter() - began)
    all_stored = all(answer.get("Status") == 0 for answer in answers)
    return 0 if all_stored and len(answers) == len(paths) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
