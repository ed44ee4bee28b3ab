"""The JSON schema of vCon, with which every vCon of ours must agree.

``vcon_schema.json`` is the informative schema of draft-ietf-vcon-vcon-core-03 (1 July 2026), from
its appendix "vCon JSON Schema", as published at
https://raw.githubusercontent.com/ietf-wg-vcon/draft-ietf-vcon-vcon-core/refs/heads/main/vcon_json_schema.json
(commit 2342aba). Copyright (c) 2026 IETF Trust and the persons identified as the document's
authors; a Code Component under the Revised BSD License (https://trustee.ietf.org/license-info).
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, FormatChecker


@cache
def _validator() -> Draft7Validator:
    schema = json.loads(Path(__file__).with_name("vcon_schema.json").read_text())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(_closed(schema), format_checker=FormatChecker())


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, but with no other parameter allowed than those that the draft defines: a name with
    a slip in it would pass otherwise."""
    for each in (schema, *schema["definitions"].values()):
        each["additionalProperties"] = False
    return schema


def assert_is_vcon(vcon: dict[str, Any]) -> None:
    """It agrees with the schema; and what the draft says in words, and the schema does not."""
    assert [error.message for error in _validator().iter_errors(vcon)] == []
    parties, dialogs = len(vcon["parties"]), len(vcon["dialog"])
    moments = [vcon["created_at"]]
    for dialog in vcon["dialog"]:
        moments += [dialog["start"], *(event["time"] for event in dialog["party_history"])]
        assert all(event["party"] < parties for event in dialog["party_history"])
        for party in dialog["parties"]:
            assert all(each < parties for each in (party if isinstance(party, list) else [party]))
        hashes = dialog["content_hash"]
        assert any(each.startswith("sha512-") for each in hashes)
        assert not any("=" in each for each in hashes)
        assert ("body" in dialog) == ("encoding" in dialog)
        assert "url" not in dialog or dialog["url"].startswith("https://")
    assert all(each["dialog"] < dialogs for each in vcon["analysis"])
    for moment in moments:
        assert datetime.fromisoformat(moment).tzinfo is not None
        assert moment[10] == "T"
