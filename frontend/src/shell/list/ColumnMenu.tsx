import * as Popover from "@radix-ui/react-popover";
import { ArrowDown, ArrowUp, Columns3 } from "lucide-react";
import { COLUMNS, FIRST_SHOWN } from "./columns";

interface Props {
	columns: string[];
	onColumns: (columns: string[]) => void;
}

/** `columns` with the one at `from` moved to `to`. */
export function moved(columns: string[], from: number, to: number): string[] {
	const next = [...columns];
	next.splice(to, 0, ...next.splice(from, 1));
	return next;
}

/** Which columns, and in which order. */
export function ColumnMenu({ columns, onColumns }: Props) {
	const titles = new Map(COLUMNS.map((column) => [column.id, column.title]));
	const hidden = COLUMNS.filter((column) => !columns.includes(column.id));
	return (
		<Popover.Root>
			<Popover.Trigger className="icon-button" aria-label="Columns" title="Columns">
				<Columns3 size={16} aria-hidden="true" />
			</Popover.Trigger>
			<Popover.Portal>
				<Popover.Content className="menu column-menu" align="end" sideOffset={4}>
					<p className="menu-label">Columns, from left to right</p>
					<ul>
						{columns.map((id, place) => (
							<li key={id} className="column-line">
								<label>
									<input
										type="checkbox"
										checked
										disabled={id === "patient"}
										onChange={() => onColumns(columns.filter((each) => each !== id))}
									/>
									{titles.get(id)}
								</label>
								<button
									type="button"
									className="icon-button"
									aria-label={`Move ${titles.get(id)} to the left`}
									disabled={place === 0}
									onClick={() => onColumns(moved(columns, place, place - 1))}
								>
									<ArrowUp size={14} aria-hidden="true" />
								</button>
								<button
									type="button"
									className="icon-button"
									aria-label={`Move ${titles.get(id)} to the right`}
									disabled={place === columns.length - 1}
									onClick={() => onColumns(moved(columns, place, place + 1))}
								>
									<ArrowDown size={14} aria-hidden="true" />
								</button>
							</li>
						))}
						{hidden.map((column) => (
							<li key={column.id} className="column-line">
								<label className="muted">
									<input
										type="checkbox"
										checked={false}
										onChange={() => onColumns([...columns, column.id])}
									/>
									{column.title}
								</label>
							</li>
						))}
					</ul>
					<div className="menu-line" />
					<button type="button" className="menu-item" onClick={() => onColumns(FIRST_SHOWN)}>
						As at first
					</button>
				</Popover.Content>
			</Popover.Portal>
		</Popover.Root>
	);
}
