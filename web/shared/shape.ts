// What an answer must look like before a page believes it. A reader returns the typed value or throws ShapeError.

export class ShapeError extends Error {}

export type Reader<T> = (value: unknown, at: string) => T;
export type Shape<R> = R extends Reader<infer T> ? T : never;

function wrong(at: string, wanted: string): never {
  throw new ShapeError(`${at || "the answer"} is not ${wanted}`);
}

export const text: Reader<string> = (value, at) => (typeof value === "string" ? value : wrong(at, "text"));

export const flag: Reader<boolean> = (value, at) => (typeof value === "boolean" ? value : wrong(at, "true or false"));

/** Any finite number. */
export const real: Reader<number> = (value, at) =>
  typeof value === "number" && Number.isFinite(value) ? value : wrong(at, "a number");

/** An integer that JavaScript holds exactly. */
export const whole: Reader<number> = (value, at) =>
  typeof value === "number" && Number.isSafeInteger(value) ? value : wrong(at, "a whole number");

/** An amount in wei: decimal text of any length, or a small integer. */
export const wei: Reader<bigint> = (value, at) => {
  if (typeof value === "string" && /^[0-9]{1,78}$/.test(value)) return BigInt(value);
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  return wrong(at, "an amount in wei");
};

export const maybe =
  <T>(inner: Reader<T>): Reader<T | null> =>
  (value, at) =>
    value === null || value === undefined ? null : inner(value, at);

export const list =
  <T>(inner: Reader<T>): Reader<T[]> =>
  (value, at) =>
    Array.isArray(value) ? value.map((one, index) => inner(one, `${at}[${index}]`)) : wrong(at, "a list");

export const record =
  <T>(inner: Reader<T>): Reader<Record<string, T>> =>
  (value, at) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong(at, "an object");
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inner(one, `${at}.${key}`)]));
  };

/** The named members; members this page does not know are left out, so a newer server stays readable. */
export const object =
  <M extends Record<string, Reader<unknown>>>(members: M): Reader<{ [K in keyof M]: Shape<M[K]> }> =>
  (value, at) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong(at, "an object");
    const found = value as Record<string, unknown>;
    const read = Object.entries(members).map(([key, inner]) => [key, inner(found[key], at ? `${at}.${key}` : key)]);
    return Object.fromEntries(read) as { [K in keyof M]: Shape<M[K]> };
  };
