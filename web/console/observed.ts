// What an observation says, in the words of a table: what, how much, when.

import { count, percent, span } from "../shared/format";
import type { Observed } from "./hub";
import { degrees, readingWord, words } from "./words";

export function whatOf(observed: Observed): string {
  switch (observed.kind) {
    case "track":
    case "crossing":
    case "stay":
      return observed.class_name;
    case "reading":
      return words.quantity[observed.quantity] ?? observed.quantity;
    default:
      return words.ownWord[observed.kind];
  }
}

export function sizeOf(observed: Observed): string {
  switch (observed.kind) {
    case "track":
      return percent(observed.confidence_ppm);
    case "reading":
      return readingWord(observed.quantity, observed.value) + (observed.flags.includes("stuck") ? ` ${words.stuck}` : "");
    case "crossing":
      return words.line(observed.line, observed.is_forward);
    case "stay":
      return words.zone(observed.zone, span(observed.left_at_ms - observed.entered_at_ms));
    case "gap":
      return observed.envelopes > 0
        ? words.lostEnvelopes(count(observed.envelopes))
        : words.lostObservations(count(observed.observations));
    case "health":
      return observed.soc_mdegc === null ? "" : degrees(observed.soc_mdegc);
    case "succession":
      return observed.is_agreed ? words.agreed : words.notAgreed;
    case "other":
      return "";
  }
}

/** Null where it does not say. */
export function whenOf(observed: Observed): number | null {
  switch (observed.kind) {
    case "track":
      return observed.last_seen_ms;
    case "crossing":
      return observed.crossed_at_ms;
    case "stay":
      return observed.left_at_ms;
    case "gap":
      return observed.until_ms;
    case "succession":
      return observed.declared_at_ms;
    case "other":
      return null;
    default:
      return observed.measured_at_ms;
  }
}
