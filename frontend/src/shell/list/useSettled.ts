import { useDeferredValue, useEffect, useState } from "react";

/** The value once it has been still for a moment, so that typing does not ask for every letter. */
export function useSettled<T>(value: T, milliseconds: number): T {
	const [settled, setSettled] = useState(value);
	useEffect(() => {
		const timer = window.setTimeout(() => setSettled(value), milliseconds);
		return () => window.clearTimeout(timer);
	}, [value, milliseconds]);
	return useDeferredValue(settled);
}
