/** An amount of US dollars for a person: "$0.42", "$12.00"; what is less than a cent with its first digit. */
export function formatUsd(usd: number): string {
  if (usd > 0 && usd < 0.01) return `$${Number(usd.toPrecision(1))}`;
  return `$${usd.toFixed(2)}`;
}
