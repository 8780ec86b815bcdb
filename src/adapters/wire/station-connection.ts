/**
 * A connection to a BMP station, which is sent much and says nothing.
 * @module
 */
import { createConnection, type Socket } from 'node:net';

/** Bytes that may be queued for a station that does not read; beyond that the connection is closed. */
const MOST_WAITING = 64 * 2 ** 20;

export interface StationOptions {
  readonly host: string;
  readonly port: number;
  readonly onOpen: () => void;
  /** It is closed, or could not be opened. Called once, and not after `close`. */
  readonly onLost: (why: string) => void;
}

export class StationConnection {
  readonly #socket: Socket;
  #isClosed = false;

  constructor({ host, port, onOpen, onLost }: StationOptions) {
    let why = 'it closed the connection';
    this.#socket = createConnection({ host, port });
    this.#socket.on('connect', () => {
      if (!this.#isClosed) onOpen();
    });
    // A station sends nothing, but without reading we would not see it close.
    this.#socket.resume();
    this.#socket.on('error', (error) => {
      why = error.message;
    });
    this.#socket.on('close', () => {
      if (!this.#isClosed) onLost(why);
    });
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
    if (this.#socket.writableLength > MOST_WAITING) this.#socket.destroy(new Error('it does not read what it is sent'));
  }

  /** What has been written still goes out. */
  close(): void {
    this.#isClosed = true;
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#socket.end();
  }
}
