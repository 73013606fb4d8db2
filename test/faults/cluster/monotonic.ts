/** The system's monotonic clock in ms: the same for all processes of this machine, whatever its date is set to. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
