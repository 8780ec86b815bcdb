/**
 * What a datagram of another speaker does: it is a sign of life, its updates are merged, and it is answered.
 * @module
 */
import { accusations, introduce, laterRecord, send } from './dissemination.ts';
import { onIndirectAck, onPingReq } from './failure-detection.ts';
import { endIsolation } from './isolation.ts';
import { merge } from './merge.ts';
import type { Message } from './messages.ts';
import { compareDigests, onPush, push } from './push-pull.ts';
import { ReplayWindow } from './replay-window.ts';
import { nodeOf, type Peer, type Turn } from './state.ts';

export function onMessage(turn: Turn, message: Message): void {
  const { s } = turn;
  const { from: sender, sequence } = message;
  const peer = s.peers.get(sender.node);
  if (peer === undefined) return;
  if (!s.ownIncarnations.includes(message.to)) {
    introduce(turn, peer, message);
    return;
  }
  const later = laterRecord(peer, sender.incarnation);
  if (later.length > 0) {
    // What it knows of us may be from such a mistake as well: if neither listened, neither would ever refute it.
    for (const update of message.updates) if (update.node === s.own.node) merge(turn, update);
    // Its clock was set back, or somebody replays an earlier incarnation: if it is there, it will refute our record in a later one.
    introduce(turn, peer, message);
    return;
  }
  const isNew = sender.incarnation !== peer.windowOf;
  if (isNew) {
    peer.window = new ReplayWindow();
    peer.windowOf = sender.incarnation;
  }
  if (!peer.window.accept(sequence)) return;
  onSignOfLife(turn, peer);
  merge(turn, sender);
  for (const update of message.updates) merge(turn, update);
  // It does not know what others say about it, or whether we know its incarnation. A ping is answered anyway.
  if (message.kind !== 'ping' && (isNew || accusations(peer).length > 0)) send(turn, peer, { kind: 'gossip' });
  compareDigests(turn, peer, message.digest);
  answer(turn, peer, message);
}

function answer(turn: Turn, peer: Peer, message: Message): void {
  const { s, now } = turn;
  switch (message.kind) {
    case 'ping':
      send(turn, peer, { kind: 'ack', echo: message.sequence });
      return;
    case 'ack':
      s.ackedAt = now;
      if (peer.pinged?.sequence === message.echo) peer.roundTrip = now - peer.pinged.at;
      return;
    case 'ping-req':
      onPingReq(turn, peer, message.about);
      return;
    case 'indirect-ack':
      onIndirectAck(turn, message.about, message.silentFor);
      return;
    case 'pull':
      push(turn, peer, message.after);
      return;
    case 'push':
      onPush(turn, peer, message.last);
      return;
    case 'holder-req':
    case 'holder-ack':
      turn.outputs.push({ kind: 'about-addresses', from: nodeOf(peer), content: message });
  }
}

function onSignOfLife(turn: Turn, peer: Peer): void {
  const { s, now } = turn;
  peer.lastHeard = now;
  peer.suspicion = undefined;
  s.heardAt = now;
  endIsolation(turn);
  const about = nodeOf(peer);
  for (const node of peer.requesters) {
    const requester = s.peers.get(node);
    if (requester !== undefined) send(turn, requester, { kind: 'indirect-ack', about, silentFor: 0 });
  }
  peer.requesters.clear();
}
