import { describe, expect, test } from 'vitest';
import { configKeys, jsonSchemaText } from '../../../src/config/json-schema.ts';

describe('the table of the configuration', () => {
  test('describes every key and says whether it is reloadable', () => {
    for (const { path, node } of configKeys()) {
      expect(node.description, path).toMatch(/\S/);
      expect(node.reloadable, path).toBeTypeOf('boolean');
    }
  });

  test('gives a default to every key that is not required', () => {
    const without = configKeys()
      .filter(({ required, node }) => !required && node.default === undefined)
      .map(({ path }) => path);
    expect(without).toEqual(['$schema', 'servers[].id']);
  });

  test('bounds every number, with the unit of durations and sizes in the name', () => {
    const numbers = configKeys().filter(({ node }) => node.type === 'integer');
    expect(numbers.length).toBeGreaterThan(15);
    for (const { path, node } of numbers) {
      expect(node.minimum, path).toBeTypeOf('number');
      expect(node.maximum, path).toBeTypeOf('number');
      expect(path).toMatch(
        /(Ms|Bytes|[pP]ort|backlog|maxConnections|weight|maxFailures|holdMaxStatements|maxPer\w+|minIdle|maxPreparedPerServer|minErrors|minReads|errorPercent|latencyFactor|PerSecond)$/,
      );
    }
  });

  test('a listening address cannot be reloaded, the log level can', () => {
    const reloadable = new Map(configKeys().map((key) => [key.path, key.reloadable]));
    expect(reloadable.get('listen.port')).toBe(false);
    expect(reloadable.get('log.level')).toBe(true);
  });

  test('as JSON schema has standard keywords only and allows no unknown keys', () => {
    const text = jsonSchemaText();
    expect(text).not.toContain('reloadable');
    const schema = JSON.parse(text);
    expect(schema.additionalProperties).toBe(false);
    expect(schema.required).toEqual(['servers', 'monitor']);
    expect(schema.properties.servers.items.additionalProperties).toBe(false);
  });
});
