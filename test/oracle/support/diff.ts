/** Where two plain values differ, a line for each place: short enough to be told in `differences.ts`. */
export function diff(ours: unknown, theirs: unknown, at = ''): string[] {
  if (Array.isArray(ours) && Array.isArray(theirs) && ours.length === theirs.length)
    return ours.flatMap((each, index) => diff(each, theirs[index], `${at}[${index}]`))
  if (isObject(ours) && isObject(theirs)) {
    const keys = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])]
    return keys.flatMap((key) => diff(ours[key], theirs[key], at ? `${at}.${key}` : key))
  }
  if (Object.is(ours, theirs)) return []
  return [`${at || 'answer'}: ${JSON.stringify(ours)}, Kafka ${JSON.stringify(theirs)}`]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
