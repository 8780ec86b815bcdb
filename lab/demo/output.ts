/**
 * The demo's output: numbered steps, the commands as a user would type them, what they print, and times.
 * @module
 */

const useColour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code: string) => (text: string) => (useColour ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = paint('1');
export const green = paint('32');
export const red = paint('31');
const dim = paint('2');

let steps = 0;

export function step(title: string): void {
  steps++;
  process.stdout.write(`\n${bold(`${steps}. ${title}`)}\n`);
}

/** A command with its output. */
export function show(command: string, output: string): void {
  process.stdout.write(`  ${dim('$')} ${command}\n`);
  for (const line of output.trimEnd().split('\n')) process.stdout.write(`  ${line}\n`);
}

export function say(text: string): void {
  process.stdout.write(`  ${text}\n`);
}

/** A fact that the demo has checked. */
export function proved(text: string): void {
  process.stdout.write(`  ${green('✔')} ${text}\n`);
}

export function milliseconds(since: number): string {
  return `${Math.round(performance.now() - since)} ms`;
}
