/**
 * The file that lists the interfaces not to announce on (docs/behaviour/layer2.md#usable-interfaces).
 * @module
 */
import { readFileSync } from 'node:fs';
import { AdapterError, systemCode } from '../errors.ts';
import { parseYaml } from './yaml.ts';

/** Where the chart mounts the file. */
export const EXCLUDE_FILE = '/etc/metallb/excludel2.yaml';

/** Used when there is no file. */
export const DEFAULT_EXCLUDES: readonly RegExp[] = [/^lo$/];

/** Reads `announcedInterfacesToExclude`. Without a file only the loopback interface is excluded. Throws AdapterError for an invalid one. */
export function readExcludeFile(path: string = EXCLUDE_FILE): readonly RegExp[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return DEFAULT_EXCLUDES;
    throw new AdapterError('exclude-file', `${path} cannot be read: ${(error as Error).message}`, error);
  }
  const list: unknown =
    (parseYaml(text) as { announcedInterfacesToExclude?: unknown } | null)?.announcedInterfacesToExclude ?? [];
  if (!Array.isArray(list))
    throw new AdapterError('exclude-file', `${path}: announcedInterfacesToExclude is not a list`);
  return list.map((item: unknown, i) => {
    try {
      return new RegExp(String(item));
    } catch (error) {
      throw new AdapterError(
        'exclude-file',
        `${path}: announcedInterfacesToExclude[${i}]: ${(error as Error).message}`,
        error,
      );
    }
  });
}
