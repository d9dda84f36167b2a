import { describe, expect, it } from 'vitest';
import { judgeError } from '../../../src/demo/client-error.ts';

const reply = (errno: number) => Object.assign(new Error('reply'), { errno, sqlState: 'HY000' });
const socket = (code: string, errno: number) => Object.assign(new Error(code), { code, errno });

describe('what an error means for a row', () => {
  it('is unknown after a connection was lost during a write or a COMMIT', () => {
    for (const doing of ['write', 'commit'] as const) {
      for (const lost of [reply(1053), socket('ECONNRESET', -104), new Error('closed')]) {
        expect(judgeError(lost, doing)).toMatchObject({
          outcome: 'unknown',
          kind: 'outcome-unknown',
        });
      }
    }
  });

  it('is that nothing stays of a transaction lost before its COMMIT', () => {
    for (const error of [reply(1213), reply(1053), socket('ECONNRESET', -104)]) {
      expect(judgeError(error, 'transaction')).toMatchObject({
        outcome: 'refused',
        kind: 'rolled-back',
      });
    }
  });

  it('is that it has not run when nobody took writes or the server said no', () => {
    expect(judgeError(reply(1290), 'write')).toEqual({
      kind: 'no-primary',
      outcome: 'refused',
      reconnect: false,
    });
    expect(judgeError(reply(1062), 'write')).toMatchObject({ kind: 'refused', outcome: 'refused' });
    expect(judgeError(reply(1213), 'commit')).toMatchObject({ outcome: 'refused' });
  });

  it('keeps the connection after a reply and drops it after anything else', () => {
    expect(judgeError(reply(1053), 'read')).toMatchObject({
      kind: 'interrupted',
      reconnect: false,
    });
    expect(judgeError(socket('ECONNRESET', -104), 'read').reconnect).toBe(true);
    expect(judgeError(socket('ECONNREFUSED', -111), 'connect')).toEqual({
      kind: 'unreachable',
      outcome: 'refused',
      reconnect: true,
    });
  });

  it('is unknown when a write was not answered in time', () => {
    const late = socket('PROTOCOL_SEQUENCE_TIMEOUT', -110);
    expect(judgeError(late, 'write')).toEqual({
      kind: 'timeout',
      outcome: 'unknown',
      reconnect: true,
    });
    expect(judgeError(late, 'transaction').outcome).toBe('refused');
  });
});
