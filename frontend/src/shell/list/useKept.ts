import { type Dispatch, type SetStateAction, useEffect, useState } from "react";

/** State that this browser keeps: column choice, panel, theme. Holds no patient data but UIDs. */
export function useKept<T>(name: string, initial: T): [T, Dispatch<SetStateAction<T>>] {
	const key = `pacsweb.${name}`;
	const [value, setValue] = useState<T>(() => {
		try {
			const kept = window.localStorage.getItem(key);
			return kept === null ? initial : (JSON.parse(kept) as T);
		} catch {
			// Storage may be forbidden or hold what an older version wrote.
			return initial;
		}
	});
	useEffect(() => {
		try {
			window.localStorage.setItem(key, JSON.stringify(value));
		} catch {
			// Then the choice lasts as long as the page.
		}
	}, [key, value]);
	return [value, setValue];
}
