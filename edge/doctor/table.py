"""Every check there is, in the order in which people hear of them: from the device itself outwards."""

from typing import Final

from edge.doctor.board import look_at_heat, look_at_memory, look_at_power
from edge.doctor.check import Check
from edge.doctor.clock import look_at_clock, look_at_ntp, switch_on_ntp
from edge.doctor.disk import look_at_room, look_at_wear
from edge.doctor.files import look_at_files, sweep
from edge.doctor.identity import hide_key, look_at_key, look_at_sequence, look_at_settings
from edge.doctor.model import fetch_model, look_at_model
from edge.doctor.rights import close_directory, look_at_rights
from edge.doctor.senses import look_at_camera, look_at_sensors
from edge.doctor.service import look_at_service, restart_service
from edge.doctor.way_up import look_at_broker, look_at_hub, look_at_outbox

CHECKS: Final = (
    Check("settings", look_at_settings),
    Check("rights", look_at_rights, close_directory),
    Check("key", look_at_key, hide_key),
    Check("sequence", look_at_sequence),
    Check("files", look_at_files, sweep),
    Check("disk", look_at_room),
    Check("wear", look_at_wear),
    Check("memory", look_at_memory),
    Check("heat", look_at_heat),
    Check("power", look_at_power),
    Check("camera", look_at_camera),
    Check("model", look_at_model, fetch_model),
    Check("sensors", look_at_sensors),
    Check("outbox", look_at_outbox),
    Check("broker", look_at_broker),
    Check("hub", look_at_hub),
    Check("clock", look_at_clock),
    Check("ntp", look_at_ntp, switch_on_ntp),
    Check("service", look_at_service, restart_service),
)
