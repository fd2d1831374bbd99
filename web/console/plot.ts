// From micro-degrees to a flat plot: equirectangular at the middle latitude, true in shape for towns and regions.

const METRES_PER_UDEG = 0.111_32;
const SMALLEST_SPAN_M = 200; // one device alone still gets a plot with a scale

export interface Place {
  name: string;
  lat_udeg: number;
  lon_udeg: number;
}

export interface Plot {
  points: { name: string; x: number; y: number }[];
  scale: { length: number; metres: number };
}

/** Lay `places` into a box of width x height with a margin; y grows to the south, as in SVG. */
export function plot(places: Place[], width: number, height: number, margin: number): Plot {
  const lats = places.map((place) => place.lat_udeg);
  const lons = places.map((place) => place.lon_udeg);
  const middle = (values: number[]): number => (Math.min(...values) + Math.max(...values)) / 2;
  const [lat0, lon0] = [middle(lats), middle(lons)];
  const eastM = METRES_PER_UDEG * Math.cos((lat0 / 1e6) * (Math.PI / 180));
  const spanM = (values: number[], perUdeg: number): number => (Math.max(...values) - Math.min(...values)) * perUdeg;
  const [wideM, highM] = [spanM(lons, eastM), spanM(lats, METRES_PER_UDEG)];
  const perMetre = Math.min(
    (width - 2 * margin) / Math.max(wideM, SMALLEST_SPAN_M),
    (height - 2 * margin) / Math.max(highM, SMALLEST_SPAN_M / 2),
  );
  const points = places.map(({ name, lat_udeg, lon_udeg }) => ({
    name,
    x: width / 2 + (lon_udeg - lon0) * eastM * perMetre,
    y: height / 2 - (lat_udeg - lat0) * METRES_PER_UDEG * perMetre,
  }));
  const metres = roundLength(width / 5 / perMetre);
  return { points, scale: { length: metres * perMetre, metres } };
}

/** The largest 1, 2 or 5 times a power of ten that is not above `metres`. */
export function roundLength(metres: number): number {
  const power = 10 ** Math.floor(Math.log10(metres));
  const step = [5, 2, 1].find((one) => one * power <= metres) ?? 1;
  return step * power;
}
