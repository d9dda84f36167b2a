import { describe, expect, test } from 'vitest';
import { checkSameSite } from '../../../src/admin/same-site.ts';

describe('a request that changes something', () => {
  test.each([
    ['of a program', { host: 'lagwise.internal:6080' }],
    ['of a program by address', { host: '10.0.0.7:6080' }],
    [
      'of a page of ours',
      {
        host: '127.0.0.1:6080',
        origin: 'http://127.0.0.1:6080',
        'sec-fetch-site': 'same-origin',
      },
    ],
    ['of a page of ours, by IPv6', { host: '[::1]:6080', origin: 'http://[::1]:6080' }],
    ['of a page of ours, by localhost', { host: 'localhost', origin: 'http://localhost' }],
  ])('%s may', (_, headers) => {
    expect(checkSameSite(headers)).toBeNull();
  });

  test.each([
    [
      'of another site',
      { host: '127.0.0.1:6080', origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' },
    ],
    ['of another site, without origin', { host: '127.0.0.1', 'sec-fetch-site': 'cross-site' }],
    ['of another port', { host: '127.0.0.1:6080', origin: 'http://127.0.0.1:8000' }],
    ['of a sandboxed page', { host: '127.0.0.1:6080', origin: 'null' }],
    [
      'of a page whose name was bound to our address',
      { host: 'evil.test:6080', origin: 'http://evil.test:6080', 'sec-fetch-site': 'same-origin' },
    ],
    [
      'of a page whose name ends like ours',
      { host: 'localhost.evil.test', origin: 'http://localhost.evil.test' },
    ],
    ['of a browser without host', { origin: 'http://127.0.0.1:6080' }],
    ['with a broken host', { host: '127.0.0.1:6080:1', origin: 'http://127.0.0.1:6080:1' }],
  ])('%s may not', (_, headers) => {
    expect(checkSameSite(headers)).toMatch(/./);
  });
});
