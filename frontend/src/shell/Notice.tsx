import type { ReactNode } from "react";

/** A whole place with nothing to show: what, why, what now. */
export function Notice({ title, children }: { title: string; children?: ReactNode }) {
	return (
		<div className="notice" role="status">
			<strong>{title}</strong>
			{children}
		</div>
	);
}
