import { describe, expect, test } from 'vitest';
import { Framer, type Packet } from '../../../src/wire/framer.ts';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { frame, MAX_FRAME_BYTES } from '../../../src/wire/writer.ts';

const MIB = 1024 * 1024;

function drain(framer: Framer): Packet[] {
  const packets: Packet[] = [];
  for (let packet = framer.next(); packet !== null; packet = framer.next()) packets.push(packet);
  return packets;
}

/** A payload whose bytes tell their place. */
function patterned(length: number): Buffer {
  const payload = Buffer.allocUnsafe(length);
  for (let at = 0; at + 4 <= length; at += 4) payload.writeUInt32LE(at, at);
  return payload.fill(7, length - (length % 4));
}

describe('framer', () => {
  const payloads = [Buffer.from('first'), Buffer.alloc(0), Buffer.from('third packet')];
  const stream = Buffer.concat(payloads.map((payload, index) => frame(payload, index)));

  test('cuts a stream at every byte into the same packets', () => {
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const framer = new Framer(64);
      framer.push(stream.subarray(0, cut));
      const packets = drain(framer);
      framer.push(stream.subarray(cut));
      packets.push(...drain(framer));
      expect(packets).toEqual(payloads.map((payload, seq) => ({ seq, payload })));
      expect(framer.bufferedBytes).toBe(0);
    }
  });

  test('takes a stream byte by byte', () => {
    const framer = new Framer(64);
    const packets: Packet[] = [];
    for (const byte of stream) {
      framer.push(Buffer.from([byte]));
      packets.push(...drain(framer));
    }
    expect(packets.map((packet) => packet.payload)).toEqual(payloads);
  });

  test('leaves packets that it gave out untouched when more bytes come', () => {
    const framer = new Framer(1024);
    const big = frame(patterned(300), 0);
    framer.push(big.subarray(0, 10));
    framer.push(Buffer.concat([big.subarray(10), big.subarray(0, 100)]));
    const first = framer.next();
    framer.push(Buffer.concat([big.subarray(100), Buffer.alloc(500, 0xee).fill(0, 0, 4)]));
    expect(first?.payload).toEqual(patterned(300));
    expect(framer.next()?.payload).toEqual(patterned(300));
  });

  test('does not copy a packet that came in one chunk', () => {
    const framer = new Framer(64);
    framer.push(stream);
    expect(framer.next()?.payload.buffer).toBe(stream.buffer);
  });

  test.each([
    ['one byte below a full frame', MAX_FRAME_BYTES - 1, 1],
    ['exactly a full frame', MAX_FRAME_BYTES, 2],
    ['one byte over a full frame', MAX_FRAME_BYTES + 1, 2],
    ['exactly two full frames', MAX_FRAME_BYTES * 2, 3],
  ])('joins the frames of a payload of %s', (_name, length, frames) => {
    const payload = patterned(length);
    const bytes = frame(payload, 250);
    expect(bytes.length).toBe(length + frames * 4);
    const framer = new Framer(40 * MIB);
    for (let at = 0; at < bytes.length; at += 65_521) framer.push(bytes.subarray(at, at + 65_521));
    const packet = framer.next();
    expect(packet?.seq).toBe(250 + frames - 1);
    expect(packet?.payload.equals(payload)).toBe(true);
    expect(framer.bufferedBytes).toBe(0);
  });

  test('waits for the last frame of a long packet, split around its header', () => {
    const payload = patterned(MAX_FRAME_BYTES + 3);
    const bytes = frame(payload, 255);
    const boundary = 4 + MAX_FRAME_BYTES;
    const framer = new Framer(40 * MIB);
    framer.push(bytes.subarray(0, boundary - 1));
    for (let at = boundary - 1; at < bytes.length; at += 1) {
      expect(framer.next()).toBeNull();
      framer.push(bytes.subarray(at, at + 1));
    }
    const packet = framer.next();
    expect(packet?.seq).toBe(0);
    expect(packet?.payload.equals(payload)).toBe(true);
  });

  test('refuses frames of a long packet that are out of sequence', () => {
    const bytes = frame(patterned(MAX_FRAME_BYTES + 3), 1);
    bytes.writeUInt8(9, 4 + MAX_FRAME_BYTES + 3);
    const framer = new Framer(40 * MIB);
    framer.push(bytes.subarray(0, 20 * MIB));
    expect(() => framer.next()).toThrow(/out of sequence/);
  });

  test('refuses a packet by its header, before its bytes come', () => {
    const framer = new Framer(1000);
    framer.push(Buffer.from([0xe9, 0x03, 0x00, 0x00]));
    expect(() => framer.next()).toThrow(MalformedPacketError);
    expect(framer.bufferedBytes).toBe(0);
    expect(() => framer.push(Buffer.from([1]))).toThrow(MalformedPacketError);
  });

  test('refuses joined frames that are together over the bound', () => {
    const framer = new Framer(MAX_FRAME_BYTES + 10);
    framer.push(frame(Buffer.alloc(MAX_FRAME_BYTES), 0).subarray(0, 4 + MAX_FRAME_BYTES));
    framer.push(Buffer.from([11, 0, 0, 1]));
    expect(() => framer.next()).toThrow(/over the 16777225 bytes/);
  });

  test('refuses a peer that sends on without being read', () => {
    const framer = new Framer(100, 50);
    framer.push(Buffer.alloc(150));
    expect(() => framer.push(Buffer.alloc(1))).toThrow(/without waiting/);
  });

  test('gives the unread rest back and starts anew', () => {
    const framer = new Framer(64);
    framer.push(Buffer.concat([stream.subarray(0, 9), Buffer.from('raw')]));
    expect(framer.next()?.payload.toString()).toBe('first');
    expect(framer.takeRest().toString()).toBe('raw');
    expect(framer.bufferedBytes).toBe(0);
    framer.push(stream.subarray(0, 9));
    expect(framer.next()?.payload.toString()).toBe('first');
  });

  test('forgets a packet that was begun when its bytes are taken', () => {
    const framer = new Framer(64);
    framer.push(stream.subarray(0, 6));
    expect(framer.next()).toBeNull();
    expect(framer.takeRest()).toEqual(stream.subarray(0, 6));
    framer.push(frame(Buffer.from('longer than before'), 9));
    expect(framer.next()).toEqual({ seq: 9, payload: Buffer.from('longer than before') });
  });

  test('takes 2 MiB byte by byte in linear time and memory', () => {
    const bytes = frame(patterned(2 * MIB), 0);
    const framer = new Framer(4 * MIB);
    const started = performance.now();
    for (let at = 0; at < bytes.length; at += 1) {
      framer.push(bytes.subarray(at, at + 1));
      if (at < bytes.length - 1 && framer.next() !== null) throw new Error('packet came early');
    }
    expect(framer.next()?.payload.length).toBe(2 * MIB);
    // Quadratic copying would move 2 TiB; linear takes well under a second.
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
