import { BlockList } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isInBlock, parseAddress, parseBlock } from '../../../src/config/cidr.ts';

const has = (block: string, address: string): boolean => {
  const parsed = parseBlock(block);
  const bytes = parseAddress(address);
  if (parsed === null || bytes === null) throw new Error(`${block} or ${address} is not read`);
  return isInBlock(bytes, parsed);
};

describe('address blocks', () => {
  test.each([
    ['10.0.0.0/8', '10.255.1.2', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['192.168.4.0/22', '192.168.7.255', true],
    ['192.168.4.0/22', '192.168.8.0', false],
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '203.0.113.9', true],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['::1', '0:0:0:0:0:0:0:1', true],
  ])('%s has %s: %s', (block, address, expected) => {
    expect(has(block, address)).toBe(expected);
  });

  test.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'fe80::/129',
    'fe80:::1',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7::8:9',
    '12345::',
    'localhost',
    '::1.2.3',
    '1.2.3.4::',
  ])('%j is no block', (text) => {
    expect(parseBlock(text)).toBe(null);
  });

  test('agree with the system about IPv4', () => {
    const v4 = fc.ipV4();
    fc.assert(
      fc.property(v4, fc.integer({ min: 1, max: 32 }), v4, (net, bits, address) => {
        const list = new BlockList();
        list.addSubnet(net, bits, 'ipv4');
        expect(has(`${net}/${bits}`, address)).toBe(list.check(address, 'ipv4'));
      }),
    );
  });

  test('agree with the system about IPv6', () => {
    const v6 = fc.ipV6();
    fc.assert(
      fc.property(v6, fc.integer({ min: 1, max: 128 }), v6, (net, bits, address) => {
        const list = new BlockList();
        list.addSubnet(net, bits, 'ipv6');
        expect(has(`${net}/${bits}`, net)).toBe(true);
        expect(has(`${net}/${bits}`, address)).toBe(list.check(address, 'ipv6'));
      }),
    );
  });
});
