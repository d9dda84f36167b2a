import { describe, expect, test } from 'vitest';
import { CAP, has, union } from '../../../src/wire/capability.ts';
import { CompressedDecoder } from '../../../src/wire/compressed-frame.ts';
import { decodeAttributes } from '../../../src/wire/packets/connect-attributes.ts';
import { decodeEof } from '../../../src/wire/packets/eof.ts';
import { decodeErr } from '../../../src/wire/packets/err.ts';
import { decodeHandshakeResponse } from '../../../src/wire/packets/handshake-response.ts';
import { decodeHandshakeV10, isMariaDb } from '../../../src/wire/packets/handshake-v10.ts';
import { decodeLocalInfileRequest } from '../../../src/wire/packets/local-infile-request.ts';
import { decodeOk } from '../../../src/wire/packets/ok.ts';
import { queryTextOffset } from '../../../src/wire/packets/query.ts';
import { decodeSessionState } from '../../../src/wire/packets/session-state.ts';
import { decodeStmtPrepareOk } from '../../../src/wire/packets/stmt-prepare-ok.ts';
import { ascii, hex } from '../../support/hex.ts';

/** Dumps that are not ours, so that our encoders cannot vouch for themselves. */
describe('packets printed in the manual or taken from a server', () => {
  test('greeting of a server without plugins', () => {
    const greeting = decodeHandshakeV10(
      hex(`0a 352e352e322d6d3200 0b000000 6476484049 2d434a 00 fff7 08 0200
           00000000000000000000000000 2a34647c635a776b345e5d3a 00`),
    );
    expect(greeting).toMatchObject({
      serverVersion: '5.5.2-m2',
      threadId: 11,
      nonce: Buffer.from('dvH@I-CJ*4d|cZwk4^]:'),
      caps: 0xf7ff,
      collationId: 8,
      status: 2,
      pluginName: '',
    });
  });

  test('greeting of a server with plugins', () => {
    const greeting = decodeHandshakeV10(
      hex(`0a 352e362e342d6d372d6c6f6700 560a0000 524233767a264772 00 ffff 08 0200 0fc0 15
           00000000000000000000 2b7944262f5a5a33303 55a4700 ${ascii('mysql_native_password')}00`),
    );
    expect(greeting).toMatchObject({
      serverVersion: '5.6.4-m7-log',
      threadId: 2646,
      nonce: Buffer.from('RB3vz&Gr+yD&/ZZ305ZG'),
      caps: 0xc00f_ffff,
      pluginName: 'mysql_native_password',
    });
    expect(isMariaDb(greeting)).toBe(false);
  });

  test('handshake response with a schema', () => {
    const response = decodeHandshakeResponse(
      hex(`8da60f00 00000001 08 ${'00'.repeat(23)} 70616d00
           14 ab09eef6bcb1323e61143865c0991d957d75d447 7465737400
           ${ascii('mysql_native_password')}00`),
    );
    expect(response).toMatchObject({
      user: 'pam',
      database: 'test',
      maxPacketBytes: 0x0100_0000,
      pluginName: 'mysql_native_password',
      attributes: null,
    });
    expect(response.authResponse).toHaveLength(20);
  });

  test('handshake response with attributes', () => {
    const response = decodeHandshakeResponse(
      hex(`85a21e00 00000040 08 ${'00'.repeat(23)} 726f6f7400
           14 225079a212d4e882e5b3f41a97756bc8bedb9f80 ${ascii('mysql_native_password')}00
           61 03 ${ascii('_os')} 09 ${ascii('debian6.0')} 0c ${ascii('_client_name')}
           08 ${ascii('libmysql')} 04 ${ascii('_pid')} 05 ${ascii('22344')}
           0f ${ascii('_client_version')} 08 ${ascii('5.6.6-m9')} 09 ${ascii('_platform')}
           06 ${ascii('x86_64')} 03 ${ascii('foo')} 03 ${ascii('bar')}`),
    );
    expect(response.user).toBe('root');
    expect(decodeAttributes(response.attributes ?? Buffer.alloc(0))).toEqual(
      new Map([
        ['_os', 'debian6.0'],
        ['_client_name', 'libmysql'],
        ['_pid', '22344'],
        ['_client_version', '5.6.6-m9'],
        ['_platform', 'x86_64'],
        ['foo', 'bar'],
      ]),
    );
  });

  test('OK, ERR, EOF, request for a file', () => {
    expect(decodeOk(hex('00 00 00 02 00 00 00'), CAP.PROTOCOL_41)).toMatchObject({ status: 2 });
    expect(decodeErr(hex(`ff 4804 23 ${ascii('HY000No tables used')}`))).toEqual({
      code: 1096,
      sqlState: 'HY000',
      message: 'No tables used',
    });
    expect(decodeEof(hex('fe 0000 0200'))).toEqual({ warnings: 0, status: 2 });
    expect(decodeLocalInfileRequest(hex('fb 2f6574632f706173737764'))).toBe('/etc/passwd');
  });

  test('session state', () => {
    expect(decodeSessionState(hex(`00 0f 0a ${ascii('autocommit')} 03 ${ascii('OFF')}`))).toEqual([
      { t: 'system-variable', name: 'autocommit', value: 'OFF' },
    ]);
    expect(decodeSessionState(hex('01 05 04 74657374'))).toEqual([{ t: 'schema', schema: 'test' }]);
  });

  test('session state as MySQL 9.7 sends it', () => {
    expect(decodeSessionState(hex(`02 01 31 04 01 00 05 09 08 ${ascii('T_______')}`))).toEqual([
      { t: 'state-change', changed: true },
      { t: 'transaction-characteristics', statements: '' },
      { t: 'transaction-state', state: 'T_______' },
    ]);
    expect(
      decodeSessionState(hex(`03 28 00 26 ${ascii('df4c5a19-e4a8-11f1-8965-02fc00000001:1')}`)),
    ).toEqual([{ t: 'gtids', gtids: 'df4c5a19-e4a8-11f1-8965-02fc00000001:1' }]);
  });

  test('answer to COM_STMT_PREPARE', () => {
    expect(decodeStmtPrepareOk(hex('00 01000000 0100 0200 00 0000'), CAP.PROTOCOL_41)).toEqual({
      statementId: 1,
      columnCount: 1,
      parameterCount: 2,
      warnings: 0,
      metadataFollows: true,
    });
  });

  test('COM_QUERY with an attribute', () => {
    const payload = hex(
      `03 01 01 00 01 fe00 01 61 01 31 ${ascii('select @@version_comment limit 1')}`,
    );
    const offset = queryTextOffset(payload, 0, payload.length, CAP.QUERY_ATTRIBUTES);
    expect(payload.toString('latin1', offset)).toBe('select @@version_comment limit 1');
  });

  test('compressed frame', () => {
    const decoder = new CompressedDecoder('zlib');
    decoder.push(
      hex(`22 00 00 00 32 00 00 78 9c d3 63 60 60 60 2e 4e cd 49 4d 2e 51 50 32 30 34 32 36 31
           35 33 b7 b0 c4 cd 52 02 00 0c d1 0a 6c`),
    );
    expect(decoder.next()).toEqual({
      seq: 0,
      payload: Buffer.concat([
        hex('2e 00 00 00 03'),
        Buffer.from('select "012345678901234567890123456789012345"'),
      ]),
    });
  });

  test('stored compressed frame', () => {
    const decoder = new CompressedDecoder('zlib');
    decoder.push(hex('0d 00 00 00 00 00 00 09 00 00 00 03 53 45 4c 45 43 54 20 31'));
    expect(decoder.next()?.payload).toEqual(hex(`09000000 03 ${ascii('SELECT 1')}`));
  });
});

describe('capability flags', () => {
  test('stay unsigned with the highest bit set', () => {
    const all = union(CAP.REMEMBER_OPTIONS, CAP.LONG_PASSWORD);
    expect(all).toBe(0x8000_0001);
    expect(has(all, CAP.REMEMBER_OPTIONS)).toBe(true);
    expect(has(CAP.LONG_PASSWORD, all)).toBe(false);
  });

  test('are one bit each, none twice', () => {
    const bits = Object.values(CAP);
    expect(bits.every((bit) => (bit & (bit - 1)) === 0)).toBe(true);
    expect(new Set(bits).size).toBe(32);
  });
});
