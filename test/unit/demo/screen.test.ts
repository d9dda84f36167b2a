import { describe, expect, it } from 'vitest';
import { type Progress, Screen } from '../../../src/demo/screen.ts';

function progress(elapsedMs: number, reads: number): Progress {
  const zero = { reads: 0, writes: 0, statements: 0, misroutes: 0 };
  return {
    elapsedMs,
    servers: [
      { id: 'db1', role: 'primary', lagMs: null },
      { id: 'db2', role: 'replica', lagMs: 3.4 },
      { id: 'db3', role: 'replica', lagMs: null },
    ],
    counts: { db1: { ...zero, writes: 10 }, db2: { ...zero, reads }, db3: zero },
    rowsAcknowledged: 10,
    clientErrors: 0,
    staleOwnReads: 0,
  };
}

function sink(isTTY: boolean) {
  const chunks: string[] = [];
  return { isTTY, write: (text: string) => chunks.push(text), text: () => chunks.join('') };
}

describe('the progress of a demo', () => {
  it('is one line now and then where nobody watches, with rates since the last one', () => {
    const stream = sink(false);
    const screen = new Screen(stream);
    screen.show(progress(1_000, 100));
    screen.show(progress(2_000, 200));
    screen.show(progress(4_000, 700));
    const lines = stream.text().trim().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain('db2 replica 200 reads/s 0 writes/s lag 3 ms');
    expect(lines[1]).toContain('db3 replica 0 reads/s 0 writes/s lag unknown');
    expect(stream.text()).not.toContain('\x1b');
  });

  it('is redrawn in place on a terminal, with what happened above it', () => {
    const stream = sink(true);
    const screen = new Screen(stream);
    screen.show(progress(1_000, 100));
    screen.say('Killing db1');
    screen.show(progress(1_500, 150));
    const [first = '', second = ''] = stream.text().split('Killing db1');
    const drawn = first.split('\x1b')[0]?.split('\n').length ?? 0;
    // As many lines up as were drawn, then everything below is cleared.
    expect(first).toContain(`\x1b[${drawn - 1}A\r\x1b[J`);
    expect(second).not.toContain('\x1b');
    expect(second).toContain('100');
  });
});
