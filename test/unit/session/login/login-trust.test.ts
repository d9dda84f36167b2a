import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LagwiseError } from '../../../../src/lib/errors.ts';
import { ServerRefusedError } from '../../../../src/pool/server-refused-error.ts';
import { LoginTrust, type ProvenLogin } from '../../../../src/session/login/login-trust.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { aServer } from '../../../support/snapshots.ts';

const proof = (): ProvenLogin => ({
  server: aServer(),
  state: {
    schema: null,
    status: STATUS.AUTOCOMMIT,
    sqlMode: '',
    variables: new Map(),
    flavor: 'mysql',
    multiStatements: false,
  },
  connection: null,
});
const DENIED = new ServerRefusedError('db1', {
  code: 1045,
  sqlState: '28000',
  message: 'Access denied',
});

let trust: LoginTrust;
/** Servers that were asked: it is the test's to answer. */
let asked: PromiseWithResolvers<ProvenLogin>[];
beforeEach(() => {
  vi.useFakeTimers();
  trust = new LoginTrust(1_000);
  asked = [];
});
afterEach(() => {
  vi.useRealTimers();
});

const ask = () => {
  const question = Promise.withResolvers<ProvenLogin>();
  asked.push(question);
  return question.promise;
};
const judge = (key = 'app') => trust.judge(key, ask);
const settled = async () => await vi.advanceTimersByTimeAsync(0);
const answer = (index: number, login = proof()) => {
  asked[index]?.resolve(login);
  return login;
};

describe('a login that a server has accepted', () => {
  test('is not asked again for a while, and then is', async () => {
    const first = judge();
    const login = answer(0);
    expect(await first).toBe(login);
    await vi.advanceTimersByTimeAsync(999);
    expect(await judge()).toBe(login);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    const later = judge();
    expect(asked).toHaveLength(2);
    const again = answer(1);
    expect(await later).toBe(again);
  });

  test('is trusted from the server’s word on, not from the last time it was of use', async () => {
    const first = judge();
    answer(0);
    await first;
    await vi.advanceTimersByTimeAsync(600);
    await judge();
    await vi.advanceTimersByTimeAsync(400);
    void judge();
    expect(asked).toHaveLength(2);
  });

  test('is that login alone', async () => {
    const first = judge('app');
    answer(0);
    await first;
    void judge('other');
    expect(asked).toHaveLength(2);
  });

  test('that was asked for before accounts changed is judged anew behind it too', async () => {
    const first = judge();
    trust.clear();
    answer(0);
    await first;
    void judge();
    expect(asked).toHaveLength(2);
  });

  test('is judged anew once accounts may have changed', async () => {
    const first = judge();
    answer(0);
    await first;
    trust.clear();
    void judge();
    expect(asked).toHaveLength(2);
  });

  test('is always judged where nothing is to be trusted', async () => {
    trust = new LoginTrust(0);
    const both = [judge(), judge()];
    expect(asked).toHaveLength(2);
    answer(0);
    answer(1);
    await Promise.all(both);
    void judge();
    expect(asked).toHaveLength(3);
  });
});

describe('logins that come at once', () => {
  test('are asked for once, and all have the answer', async () => {
    const all = Array.from({ length: 100 }, () => judge());
    expect(asked).toHaveLength(1);
    const login = answer(0);
    expect(new Set(await Promise.all(all))).toEqual(new Set([login]));
  });

  test('are all refused by the server’s one refusal, and the next is asked for', async () => {
    const all = [judge(), judge()].map(async (each) => await expect(each).rejects.toBe(DENIED));
    asked[0]?.reject(DENIED);
    await Promise.all(all);
    expect(asked).toHaveLength(1);
    void judge();
    expect(asked).toHaveLength(2);
  });

  test('are not failed by what is the first one’s own affair', async () => {
    const left = new LagwiseError('client-network', 'The client left');
    const first = expect(judge()).rejects.toBe(left);
    const followers = [judge(), judge()];
    asked[0]?.reject(left);
    await first;
    await settled();
    // Each asks for itself then.
    expect(asked).toHaveLength(3);
    answer(1);
    answer(2);
    await Promise.all(followers);
  });
});

test('a bounded number is remembered, the latest', async () => {
  const once = async (key: string) => {
    let isAsked = false;
    await trust.judge(key, () => {
      isAsked = true;
      return Promise.resolve(proof());
    });
    return isAsked;
  };
  for (let index = 0; index <= 10_000; index += 1) await once(`u${index}`);
  expect([await once('u1'), await once('u10000')]).toEqual([false, false]);
  expect(await once('u0')).toBe(true);
});
