/**
 * A client that opens a new TCP connection every few milliseconds and writes down how each went: the measure of an outage.
 * `node prober.ts ADDRESS PORT INTERVAL DURATION` (milliseconds); prints `ready` after its first second, and after SIGTERM, though not before
 * DURATION is over, one JSON line, see ProbeResult. On a starved machine it takes longer until it has tried as often as it would elsewhere.
 * @module
 */
import { connect } from 'node:net';

/** Times in milliseconds since the start of the prober. */
export interface ProbeResult {
  /** When the prober began, in milliseconds since 1970. */
  readonly began: number;
  readonly attempts: number;
  /** When each connection was begun that could not be opened, and why: an error code, or `timeout`. */
  readonly failed: readonly (readonly [at: number, why: string])[];
  /** When each successful connection was begun, and how long it took to open. */
  readonly opened: readonly (readonly [at: number, took: number])[];
}

/** A connection that is not open after this long counts as lost: the first repetition of a SYN comes after a second. */
const PATIENCE = 900;
/** This share of the attempts that there is time for has to be made. */
const ENOUGH = 0.75;
/** After how many milliseconds, as an idle machine counts them, others may let something happen. */
const FIRST = 1000;

const [address, port, interval, duration] = process.argv.slice(2) as [string, string, string, string];
const failed: [number, string][] = [];
const opened: [number, number][] = [];
const began = performance.now();
const beganAt = performance.timeOrigin + began;
let attempts = 0;
let under = 0;
let isToldToEnd = false;
process.once('SIGTERM', () => {
  isToldToEnd = true;
});

function probe(): void {
  attempts++;
  under++;
  const at = performance.now() - began;
  const socket = connect({ host: address, port: Number(port) });
  const giveUp = () => socket.destroy(Object.assign(new Error('too slow'), { code: 'timeout' }));
  // What has come while this process got no time is read first.
  const timer = setTimeout(() => setImmediate(giveUp), PATIENCE);
  socket.once('connect', () => {
    opened.push([round(at), round(performance.now() - began - at)]);
    socket.destroy();
  });
  socket.once('error', (error: NodeJS.ErrnoException) => failed.push([round(at), error.code ?? error.message]));
  socket.once('close', () => {
    clearTimeout(timer);
    under--;
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const timer = setInterval(() => {
  const isOver =
    performance.now() - began >= Number(duration) && attempts >= (ENOUGH * Number(duration)) / Number(interval);
  if (!isToldToEnd || !isOver) {
    probe();
    if (attempts === Math.ceil((ENOUGH * FIRST) / Number(interval))) process.stdout.write('ready\n');
    return;
  }
  if (under > 0) return;
  clearInterval(timer);
  const result: ProbeResult = { began: beganAt, attempts, failed, opened };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}, Number(interval));
