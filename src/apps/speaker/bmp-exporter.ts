/**
 * Tells a BMP station (RFC 7854) what our routers are told: the machine of core/bgp/bmp with its connection.
 * @module
 */
import { type Clock, realClock, realWallClock, type WallClock } from '../../adapters/driver/clock.ts';
import { Driver } from '../../adapters/driver/driver.ts';
import type { Log } from '../../adapters/log/log.ts';
import { StationConnection } from '../../adapters/wire/station-connection.ts';
import { type BmpInput, type BmpOutput, type BmpState, bmpMachine, initialBmp } from '../../core/bgp/bmp/fsm.ts';
import { type BmpMessage, encodeBmp } from '../../core/bgp/bmp/messages.ts';
import { type ToldSession, toldSession } from '../../core/bgp/bmp/told-session.ts';
import { established, type SessionOutput } from '../../core/bgp/session/state.ts';
import type { BgpSessions } from './bgp-sessions.ts';

export interface Station {
  readonly host: string;
  readonly port: number;
}

export interface BmpExporterOptions {
  readonly station: Station;
  readonly node: string;
  readonly log: Log;
  readonly sessions: BgpSessions;
  /** Default: the clocks of this process. */
  readonly clock?: Clock | undefined;
  readonly wallClock?: WallClock | undefined;
}

export class BmpExporter {
  readonly #options: BmpExporterOptions;
  readonly #driver: Driver<BmpState, BmpInput, BmpOutput>;
  #connection: StationConnection | undefined;

  constructor(options: BmpExporterOptions) {
    this.#options = options;
    const clock = options.clock ?? realClock();
    this.#driver = new Driver(bmpMachine, initialBmp(clock.now()), {
      perform: (output) => this.#perform(output),
      clock,
    });
  }

  /** What a session does, after its connection has been taken care of. `name`: of the BGPPeer. */
  onOutput(name: string, output: SessionOutput): void {
    if (output.kind === 'session-down') this.#driver.feed({ kind: 'session-down', name });
    if (output.kind === 'send') this.#driver.feed({ kind: 'sent', name, bytes: output.bytes });
    const session = output.kind === 'session-up' ? this.#told(name, true) : undefined;
    if (session !== undefined) this.#driver.feed({ kind: 'session-up', session });
  }

  stop(): void {
    this.#driver.feed({ kind: 'stop' });
  }

  #perform(output: BmpOutput): void {
    switch (output.kind) {
      case 'connect':
        this.#connect();
        return;
      case 'tell':
        this.#tell(output.message);
        return;
      case 'count': {
        const { name, peer } = output;
        this.#tell({ kind: 'statistics', peer, routes: this.#options.sessions.session(name)?.sent.size ?? 0 });
        return;
      }
      case 'close':
        this.#connection?.close();
    }
  }

  #connect(): void {
    const { station, node, log, sessions } = this.#options;
    const text = `${station.host}:${station.port}`;
    this.#connection = new StationConnection({
      ...station,
      onOpen: () => {
        log.info({ event: 'bmpConnected', station: text }, `BMP station ${text} is told of all sessions`);
        const up = [...sessions.state.peers.keys()].flatMap((name) => this.#told(name, false) ?? []);
        this.#driver.feed({ kind: 'connected', node, sessions: up });
      },
      onLost: (why) => {
        log.warn({ event: 'bmpLost', station: text, error: why }, `no BMP station at ${text}: ${why}`);
        this.#driver.feed({ kind: 'disconnected' });
      },
    });
  }

  #tell(message: BmpMessage): void {
    const { wallClock = realWallClock } = this.#options;
    this.#connection?.write(encodeBmp(message, wallClock()));
  }

  #told(name: string, isNew: boolean): ToldSession | undefined {
    const { sessions } = this.#options;
    const session = sessions.session(name);
    const connection = session && established(session);
    const ends = connection && sessions.ends(name, connection.initiator);
    return session && ends && toldSession(name, session, ends, isNew);
  }
}
