import { describe, expect, test } from 'vitest';
import { CAP, union, without } from '../../../src/wire/capability.ts';
import { COM, commandName } from '../../../src/wire/command.ts';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { decodeAuthSwitchRequest } from '../../../src/wire/packets/auth-switch-request.ts';
import { decodeChangeUser, encodeChangeUser } from '../../../src/wire/packets/change-user.ts';
import { decodeErr, encodeErr } from '../../../src/wire/packets/err.ts';
import {
  decodeHandshakeResponse,
  encodeHandshakeResponse,
  MAX_ATTRIBUTES_BYTES,
} from '../../../src/wire/packets/handshake-response.ts';
import {
  decodeHandshakeV10,
  encodeHandshakeV10,
  isMariaDb,
} from '../../../src/wire/packets/handshake-v10.ts';
import { decodeOk, encodeOk } from '../../../src/wire/packets/ok.ts';
import { encodeQuery, queryTextOffset } from '../../../src/wire/packets/query.ts';
import { decodeSessionState } from '../../../src/wire/packets/session-state.ts';
import { isSslRequest, encodeSslRequest } from '../../../src/wire/packets/ssl-request.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { ascii, hex } from '../../support/hex.ts';
import { ALL_LOGIN_CAPS, NONCE } from '../../support/wire-samples.ts';

const response = {
  caps: ALL_LOGIN_CAPS,
  extendedCaps: 0,
  maxPacketBytes: 0,
  collationId: 45,
  user: 'anna',
  authResponse: Buffer.from('secret'),
  database: 'shop',
  pluginName: 'mysql_clear_password',
  attributes: Buffer.alloc(0),
  zstdLevel: 3,
};

describe('handshake response', () => {
  test.each([
    ['one length byte', CAP.PLUGIN_AUTH_LENENC_DATA],
    ['a NUL at its end', CAP.PLUGIN_AUTH_LENENC_DATA | CAP.SECURE_CONNECTION],
  ])('carries the auth response with %s by capability', (_name, missing) => {
    const value = { ...response, caps: without(ALL_LOGIN_CAPS, missing) };
    expect(decodeHandshakeResponse(encodeHandshakeResponse(value, 1).subarray(4))).toEqual(value);
  });

  test('leaves out what the capabilities do not name', () => {
    const caps = union(CAP.PROTOCOL_41, CAP.SECURE_CONNECTION);
    const bytes = encodeHandshakeResponse({ ...response, caps, extendedCaps: 0x1d }, 1);
    expect(decodeHandshakeResponse(bytes.subarray(4))).toEqual({
      ...response,
      caps,
      extendedCaps: 0x1d,
      database: null,
      pluginName: '',
      attributes: null,
      zstdLevel: null,
    });
  });

  test('keeps the bytes of latin1 names', () => {
    const value = { ...response, collationId: 8, user: 'jörg', database: 'größe' };
    const bytes = encodeHandshakeResponse(value, 1);
    expect(bytes.includes(Buffer.from('jörg', 'latin1'))).toBe(true);
    expect(decodeHandshakeResponse(bytes.subarray(4))).toEqual(value);
  });

  test('is refused with attributes over the bound', () => {
    const attributes = Buffer.alloc(MAX_ATTRIBUTES_BYTES + 1);
    const bytes = encodeHandshakeResponse({ ...response, attributes }, 1);
    expect(() => decodeHandshakeResponse(bytes.subarray(4))).toThrow(/at most 65536/);
  });

  test('is refused from a client of before protocol 4.1', () => {
    expect(() => decodeHandshakeResponse(hex('8524 000000 6f6c6400 47 4453'))).toThrow(
      /does not speak protocol 4.1/,
    );
  });

  test('refuses to write names that would smuggle fields', () => {
    expect(() => encodeHandshakeResponse({ ...response, user: 'a\0root' }, 1)).toThrow(
      MalformedPacketError,
    );
    expect(() => encodeHandshakeResponse({ ...response, database: 'a\0b' }, 1)).toThrow(
      MalformedPacketError,
    );
  });

  test('is told from an SSL request by its length', () => {
    const withSsl = { ...response, caps: union(response.caps, CAP.SSL) };
    expect(isSslRequest(encodeSslRequest(response, 1).subarray(4))).toBe(true);
    expect(isSslRequest(encodeHandshakeResponse(withSsl, 1).subarray(4))).toBe(false);
  });
});

describe('greeting', () => {
  const greeting = {
    serverVersion: '11.8.2-MariaDB',
    versionPrefix: false,
    threadId: 1,
    nonce: NONCE,
    caps: union(CAP.PROTOCOL_41, CAP.PLUGIN_AUTH, CAP.LONG_PASSWORD),
    extendedCaps: 0,
    collationId: 45,
    status: 2,
    pluginName: 'mysql_native_password',
  };

  test('of MariaDB is known by its version or by its missing flag', () => {
    expect(isMariaDb(greeting)).toBe(true);
    expect(isMariaDb({ caps: CAP.LONG_PASSWORD, serverVersion: '9.7.4' })).toBe(false);
    expect(isMariaDb({ caps: 0, serverVersion: '9.7.4' })).toBe(true);
  });

  test('keeps a version 5.5.5 that is no prefix', () => {
    const bytes = encodeHandshakeV10({ ...greeting, serverVersion: '5.5.5-m3' });
    expect(decodeHandshakeV10(bytes.subarray(4)).serverVersion).toBe('5.5.5-m3');
  });

  test('may carry a longer nonce for its plugin', () => {
    const bytes = encodeHandshakeV10(greeting).subarray(4);
    const lengthAt = bytes.indexOf(0, 0) + 1 + 4 + 8 + 1 + 2 + 1 + 2 + 2;
    expect(bytes.readUInt8(lengthAt)).toBe(21);
    const secondPart = Buffer.alloc(25, 0x22);
    const longer = Buffer.concat([
      bytes.subarray(0, lengthAt),
      Buffer.from([8 + secondPart.length]),
      Buffer.alloc(10),
      secondPart,
      Buffer.from('mysql_native_password\0'),
    ]);
    const decoded = decodeHandshakeV10(longer);
    expect(decoded.nonce).toEqual(Buffer.concat([NONCE.subarray(0, 8), secondPart]));
    expect(decoded.pluginName).toBe('mysql_native_password');
  });

  test('in another protocol is refused with its number', () => {
    expect(() => decodeHandshakeV10(hex('09 352e3000'))).toThrow(/protocol 9/);
  });
});

describe('auth switch request', () => {
  test('gives a nonce of 20 bytes without the NUL that ends it', () => {
    const nonce = '7a51673469'.repeat(4);
    const request = decodeAuthSwitchRequest(
      hex(`fe ${ascii('mysql_native_password')}00 ${nonce}00`),
    );
    expect(request).toEqual({ pluginName: 'mysql_native_password', nonce: hex(nonce) });
  });

  test.each([
    ['ends with zero', `${'11'.repeat(31)}00`],
    ['has a zero behind 20 bytes', `${'11'.repeat(20)}00${'11'.repeat(11)}`],
  ])('keeps a nonce of 32 bytes that %s', (_name, nonce) => {
    const request = decodeAuthSwitchRequest(hex(`fe ${ascii('client_ed25519')}00 ${nonce}`));
    expect(request.nonce).toEqual(hex(nonce));
  });

  test('for the passwords of MySQL 3.23 is refused by name', () => {
    expect(() => decodeAuthSwitchRequest(hex('fe'))).toThrow(/mysql_old_password/);
  });
});

describe('change user', () => {
  const request = {
    user: 'anna',
    authResponse: Buffer.from('xy'),
    database: '',
    collationId: 255,
    pluginName: '',
    attributes: null,
  };

  test('carries the auth response with a NUL where SECURE_CONNECTION is not in force', () => {
    const options = { caps: CAP.PROTOCOL_41, collationId: 45 };
    const bytes = encodeChangeUser(request, options);
    expect(decodeChangeUser(bytes.subarray(4), options)).toEqual(request);
  });

  test('may end before the collation', () => {
    const options = { caps: ALL_LOGIN_CAPS, collationId: 45 };
    const short = { ...request, collationId: null };
    const bytes = encodeChangeUser(short, options);
    expect(decodeChangeUser(bytes.subarray(4), options)).toEqual(short);
  });
});

describe('OK', () => {
  test('hides session state from clients that did not ask for it', () => {
    const ok = { status: 0x4002, sessionState: hex('0202 0131'), info: 'done' };
    const bytes = encodeOk(ok, 1, { caps: CAP.PROTOCOL_41 });
    expect(decodeOk(bytes.subarray(4), CAP.PROTOCOL_41)).toMatchObject({
      status: STATUS.AUTOCOMMIT,
      sessionState: null,
      info: 'done',
    });
  });

  test.each([
    ['with its length in front', `04 ${ascii('done')}`, 'done'],
    ['as the rest of the packet', ascii('done'), 'done'],
    ['over 250 bytes', `fc fc00 ${ascii('x'.repeat(252))}`, 'x'.repeat(252)],
  ])('reads an info %s', (_name, dump, info) => {
    expect(decodeOk(hex(`00 00 00 0200 0000 ${dump}`), CAP.PROTOCOL_41).info).toBe(info);
  });

  test('that ends rows begins with 0xFE', () => {
    const bytes = encodeOk({ status: 2 }, 4, { caps: CAP.DEPRECATE_EOF, afterRows: true });
    expect(bytes.toString('hex')).toBe('07000004fe000002000000');
    expect(decodeOk(bytes.subarray(4), CAP.DEPRECATE_EOF).status).toBe(2);
  });
});

describe('ERR', () => {
  test('in place of the greeting has no SQL state', () => {
    const error = { code: 1040, sqlState: '08004', message: 'Too many connections' };
    const bytes = encodeErr(error, 0, { withState: false });
    expect(bytes.toString('latin1', 7)).toBe('Too many connections');
    expect(decodeErr(bytes.subarray(4))).toEqual({ ...error, sqlState: 'HY000' });
  });

  test('replaces a SQL state that is not of five letters', () => {
    const bytes = encodeErr({ code: 1, sqlState: 'toolong', message: 'm' }, 1);
    expect(decodeErr(bytes.subarray(4)).sqlState).toBe('HY000');
  });
});

describe('session state', () => {
  test('of MariaDB holds several variables in one entry', () => {
    const entry = `01${ascii('a')} 01${ascii('1')} 01${ascii('b')} 01${ascii('2')}`;
    expect(decodeSessionState(hex(`00 08 ${entry}`))).toEqual([
      { t: 'system-variable', name: 'a', value: '1' },
      { t: 'system-variable', name: 'b', value: '2' },
    ]);
  });

  test('keeps GTIDs in an encoding that is not known yet', () => {
    expect(decodeSessionState(hex('03 02 07 aa'))).toEqual([
      { t: 'other', kind: 3, data: hex('07aa') },
    ]);
  });
});

describe('query', () => {
  const caps = CAP.QUERY_ATTRIBUTES;
  const textOf = (dump: string): string => {
    // As in a receive buffer: other bytes before and behind.
    const payload = Buffer.concat([Buffer.alloc(7), hex(dump), Buffer.from('next')]);
    const end = payload.length - 4;
    return payload.toString('latin1', queryTextOffset(payload, 7, end, caps), end);
  };

  test('begins behind the command byte where the capability is not in force', () => {
    const payload = hex(`03 00 01 ${ascii('SELECT 1')}`);
    expect(queryTextOffset(payload, 0, payload.length, 0)).toBe(1);
  });

  test('is found behind no attributes', () => {
    expect(textOf(`03 00 01 ${ascii('SELECT 1')}`)).toBe('SELECT 1');
    expect(textOf('03 00 01')).toBe('');
  });

  test('is found behind a count in a long form', () => {
    expect(textOf(`03 fc0000 fc0100 ${ascii('SELECT 1')}`)).toBe('SELECT 1');
  });

  test.each([
    ['TINY', '01', '11'],
    ['SHORT', '02', '1111'],
    ['LONG', '03', '11111111'],
    ['FLOAT', '04', '11111111'],
    ['DOUBLE', '05', '1111111111111111'],
    ['NULL', '06', ''],
    ['TIMESTAMP', '07', '04e7070101'],
    ['LONGLONG', '08', '1111111111111111'],
    ['INT24', '09', '11111111'],
    ['DATE', '0a', '00'],
    ['TIME', '0b', '080000000000010101'],
    ['DATETIME', '0c', '07e7070101010101'],
    ['YEAR', '0d', 'e707'],
    ['VARCHAR', '0f', '0161'],
    ['BIT', '10', '0101'],
    ['JSON', 'f5', '027b7d'],
    ['NEWDECIMAL', 'f6', '03312e35'],
    ['BLOB', 'fc', '00'],
    ['STRING', 'fe', 'fc010061'],
    ['GEOMETRY', 'ff', '00'],
  ])('is found behind an attribute of type %s', (_name, type, value) => {
    expect(textOf(`03 01 01 00 01 ${type}80 01 61 ${value} ${ascii('SELECT 1')}`)).toBe('SELECT 1');
  });

  test('is found behind eight attributes, whose NULL flags fill one byte', () => {
    const types = 'fe00 00 '.repeat(8);
    const values = '0161 '.repeat(8);
    expect(textOf(`03 08 01 00 01 ${types} ${values} ${ascii('SELECT 1')}`)).toBe('SELECT 1');
  });

  test('is found behind attributes that are NULL and have no value', () => {
    const types = `fe00 00 `.repeat(9);
    expect(textOf(`03 09 01 fe01 01 ${types} 0161 ${ascii('SELECT 1')}`)).toBe('SELECT 1');
  });

  test.each([
    ['two parameter sets', '03 01 02 00 01 fe00 00 00'],
    ['no parameter set', '03 00 00'],
    ['no types', '03 01 01 00 00'],
    ['an unknown type', '03 01 01 00 01 1100 00 00'],
    ['a value beyond the end', '03 01 01 00 01 fe00 00 7f'],
    ['a count beyond reason', '03 fdffffff 01'],
    ['nothing', ''],
  ])('is refused with %s', (_name, dump) => {
    const payload = Buffer.concat([hex(dump), Buffer.alloc(200)]);
    const end = hex(dump).length;
    expect(() => queryTextOffset(payload, 0, end, caps)).toThrow(MalformedPacketError);
  });

  test.each([0, CAP.QUERY_ATTRIBUTES])('written for capabilities %i is read back', (caps) => {
    const packet = encodeQuery('SELECT "ü"', caps);
    const offset = queryTextOffset(packet, 4, packet.length, caps);
    expect(packet.toString('utf8', offset)).toBe('SELECT "ü"');
  });
});

describe('command names', () => {
  test('are a closed set', () => {
    expect(commandName(COM.QUERY)).toBe('QUERY');
    expect(commandName(COM.STMT_BULK_EXECUTE)).toBe('STMT_BULK_EXECUTE');
    expect(commandName(0x99)).toBe('UNKNOWN');
    expect(new Set(Object.values(COM)).size).toBe(Object.keys(COM).length);
  });
});
