/** What is mounted where, as /proc/self/mountinfo tells (proc(5)). */

/** Mount points of a type of file system, in the order they were mounted. */
export function mountPoints(mountinfo: string, type: string): string[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const point = before.split(' ')[4];
    return after.split(' ')[0] === type && point !== undefined ? [unescapeOctal(point)] : [];
  });
}

/** Blanks and backslashes are written as three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
