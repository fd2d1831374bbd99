// The one place that fetches. An answer is a checked value; everything else is an ApiError with a sentence for people.

import { span } from "./format";
import { ShapeError, type Reader } from "./shape";
import { words } from "./words";

export const ANSWER_WITHIN_MS = 5_000;

/** `unreachable`: nobody answered. `refused`: the server said no. `unreadable`: its answer makes no sense here. */
export type Failure = "unreachable" | "refused" | "unreadable";

export class ApiError extends Error {
  constructor(
    readonly failure: Failure,
    message: string,
    readonly status: number | null = null,
  ) {
    super(message);
  }
}

/** Fetch JSON from this page's own server and check its shape. */
export async function getJson<T>(path: string, reader: Reader<T>): Promise<T> {
  const answer = await ask(path);
  const body = await bodyOf(answer);
  if (!answer.ok) throw new ApiError("refused", problemOf(body, answer.status), answer.status);
  try {
    return reader(body, "");
  } catch (error) {
    if (error instanceof ShapeError) throw new ApiError("unreadable", words.unreadable(error.message));
    throw error;
  }
}

/** Run one JSON-RPC call against an EVM node and return its hexadecimal result. */
export async function callNode(url: string, method: string, parameters: unknown[]): Promise<string> {
  const request = { jsonrpc: "2.0", id: 1, method, params: parameters };
  const answer = await ask(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  const body = await bodyOf(answer);
  const result = typeof body === "object" && body !== null && "result" in body ? body.result : undefined;
  if (typeof result !== "string" || !/^0x[0-9a-fA-F]*$/.test(result)) {
    throw new ApiError("unreadable", words.nodeRefused(JSON.stringify(body).slice(0, 200)));
  }
  return result;
}

/** The sentence to show for whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function ask(path: string, request: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(path, { ...request, cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  } catch {
    throw new ApiError("unreachable", words.unreachable);
  }
}

async function bodyOf(answer: Response): Promise<unknown> {
  try {
    return await answer.json();
  } catch {
    if (!answer.ok) return null;
    throw new ApiError("unreadable", words.unreadable("it is not JSON"));
  }
}

/** The sentence of an RFC 9457 problem, with the age of what the server knew last, where it says so. */
function problemOf(body: unknown, status: number): string {
  const problem = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const said = typeof problem.detail === "string" && problem.detail !== "" ? problem.detail : words.refused(status);
  return typeof problem.age_ms === "number" ? `${said} ${words.lastKnown(span(problem.age_ms))}` : said;
}
