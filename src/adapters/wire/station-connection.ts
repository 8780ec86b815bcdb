/**
 * A send-only connection to a BMP station, reopened whenever it breaks.
 * @module
 */
import { createConnection, type Socket } from 'node:net';

/** Milliseconds. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;
/** Bytes that may be queued for a station that does not read; beyond that the connection is closed. */
const MOST_WAITING = 64 * 2 ** 20;

export interface StationOptions {
  readonly host: string;
  readonly port: number;
  /** The connection is open; everything has to be sent again. */
  readonly onOpen: () => void;
  readonly onLost: (why: string) => void;
}

export class StationConnection {
  readonly #options: StationOptions;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pause = FIRST_PAUSE;
  #stopped = false;

  constructor(options: StationOptions) {
    this.#options = options;
    this.#connect();
  }

  /** Data written while there is no connection is lost. */
  write(bytes: Uint8Array): void {
    if (this.#socket === undefined) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > MOST_WAITING) this.#socket.destroy(new Error('it does not read what it is sent'));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#socket?.end();
  }

  #connect(): void {
    const { host, port, onOpen, onLost } = this.#options;
    const socket = createConnection({ host, port });
    let why = 'it closed the connection';
    socket.on('connect', () => {
      this.#socket = socket;
      this.#pause = FIRST_PAUSE;
      onOpen();
    });
    // A station sends nothing, but without reading we would not see it close.
    socket.resume();
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('close', () => {
      this.#socket = undefined;
      if (this.#stopped) return;
      onLost(why);
      this.#timer = setTimeout(() => this.#connect(), this.#pause).unref();
      this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
    });
  }
}
