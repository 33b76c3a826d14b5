/** Today's date as DA, in the user's time zone; `days` earlier when given. */
export function today(days = 0, now = new Date()): string {
	const then = new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
	const two = (value: number) => String(value).padStart(2, "0");
	return `${then.getFullYear()}${two(then.getMonth() + 1)}${two(then.getDate())}`;
}
