// Verdict counts as charts want them: what counts first, then by how many.

import { count } from "../shared/format";
import { verdictTone, verdictWord, words } from "./words";

export type Counts = Record<string, number>;

/** The sum over epochs. */
export function countsOf(epochs: { counts: Counts }[]): Counts {
  const sum: Counts = {};
  for (const { counts } of epochs) for (const [slug, n] of Object.entries(counts)) sum[slug] = (sum[slug] ?? 0) + n;
  return sum;
}

function ordered(counts: Counts): [string, number][] {
  const rank = (slug: string): number => (slug === "accepted" ? 0 : 1);
  return Object.entries(counts)
    .filter(([, n]) => n > 0)
    .sort(([one, n], [other, m]) => rank(one) - rank(other) || m - n || one.localeCompare(other));
}

export const verdictBars = (counts: Counts) =>
  ordered(counts).map(([slug, value]) => ({
    key: slug,
    label: verdictWord(slug),
    means: words.verdictMeans[slug] ?? "",
    value,
    tone: verdictTone(slug),
  }));

export const mixParts = (counts: Counts) =>
  ordered(counts).map(([slug, value]) => ({ key: slug, value, tone: verdictTone(slug) }));

export const mixLabel = (counts: Counts): string =>
  words.mixAs(ordered(counts).map(([slug, n]) => `${count(n)} ${verdictWord(slug).toLowerCase()}`).join(", "));
