/**
 * `npm run replay -- FILE…`: what the machine of a recording says to each of its inputs.
 * @module
 */
import { readFileSync } from 'node:fs';
import { replay } from '../test/replay/replay.ts';

for (const path of process.argv.slice(2)) for (const line of replay(readFileSync(path, 'utf8'))) console.log(line);
