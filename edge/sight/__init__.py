"""From frames to tracks: masks, gate, tracker, lines and zones. numpy lives here, in camera/ and in detector/."""
