"""Records of questions and answers, and the files they are kept in (light half: no torch)."""

from med2e3.record.build import build_exchange, software_versions
from med2e3.record.exchange import Exchange, ModelRecord, VolumeRecord
from med2e3.record.files import (
    SCHEMA_VERSION,
    ExchangeFile,
    dumps,
    read_exchanges,
    schema,
    write_exchanges,
)
from med2e3.record.places import position_text, source_text, stack_axis
from med2e3.record.table import table_text, write_table

__all__ = [
    "SCHEMA_VERSION",
    "Exchange",
    "ExchangeFile",
    "ModelRecord",
    "VolumeRecord",
    "build_exchange",
    "dumps",
    "position_text",
    "read_exchanges",
    "schema",
    "software_versions",
    "source_text",
    "stack_axis",
    "table_text",
    "write_exchanges",
    "write_table",
]
