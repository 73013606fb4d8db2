/**
 * Loaded into the measured process (`--import`): between two SIGUSR2 it measures that process, and then writes what
 * it has found into the file that BENCH_MONITOR names.
 */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";

const RESOLUTION_MS = 10;
const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let began;

process.on("SIGUSR2", () => {
  if (!began) {
    loop.enable();
    began = { at: performance.now(), cpu: process.cpuUsage() };
    return;
  }
  const cpu = process.cpuUsage(began.cpu);
  const wallMs = performance.now() - began.at;
  const measured = {
    cpuPercent: ((cpu.user + cpu.system) / 1000 / wallMs) * 100,
    heapMb: process.memoryUsage().heapUsed / 1024 / 1024,
    rssMb: process.memoryUsage.rss() / 1024 / 1024,
    // The timer that samples is itself so late when nothing delays it.
    loopP99Ms: Math.max(0, loop.percentile(99) / 1e6 - RESOLUTION_MS),
  };
  began = undefined;
  loop.disable();
  loop.reset();
  writeFileSync(`${process.env.BENCH_MONITOR}.new`, JSON.stringify(measured));
  renameSync(`${process.env.BENCH_MONITOR}.new`, process.env.BENCH_MONITOR);
});
