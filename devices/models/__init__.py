"""Everything that people configure by hand; what devices said lives in `devices.readings`."""

from devices.models.calibration import CalibrationKind, CalibrationVersion
from devices.models.community import Community, Membership, Role
from devices.models.connection import Connection, SourceKind
from devices.models.device import DefaultMetric, Device, DeviceType, Picture
from devices.models.job import UNFINISHED, Job, JobState
from devices.models.key_check import KeyCheck
from devices.models.mapping import DecimalMark, FieldMapping
from devices.models.metric import DataType, Metric
from devices.models.priority import Priority
from devices.models.source import Source, ThingSpeakChannel

__all__ = [
    "UNFINISHED",
    "CalibrationKind",
    "CalibrationVersion",
    "Community",
    "Connection",
    "DataType",
    "DecimalMark",
    "DefaultMetric",
    "Device",
    "DeviceType",
    "FieldMapping",
    "Job",
    "JobState",
    "KeyCheck",
    "Membership",
    "Metric",
    "Picture",
    "Priority",
    "Role",
    "Source",
    "SourceKind",
    "ThingSpeakChannel",
]
