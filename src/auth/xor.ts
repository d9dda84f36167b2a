/** `data` XOR `key`, the key repeated as often as needed. */
export function xorRepeating(data: Buffer, key: Buffer): Buffer {
  const out = Buffer.allocUnsafe(data.length);
  for (let index = 0; index < data.length; index += 1) {
    out[index] = (data[index] ?? 0) ^ (key[index % key.length] ?? 0);
  }
  return out;
}
