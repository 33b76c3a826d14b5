import * as Popover from "@radix-ui/react-popover";
import { LayoutGrid } from "lucide-react";
import { useState } from "react";
import { Tip } from "../Tip";
import { useSession, useViewer } from "./session-context";

const SIDE = [1, 2, 3, 4, 5] as const;

/** Hover to choose how many rows and columns of viewports, up to five by five. */
export function LayoutPicker() {
	const session = useSession();
	const { layout } = useViewer();
	const [open, setOpen] = useState(false);
	const [hover, setHover] = useState(layout);
	return (
		<Popover.Root
			open={open}
			onOpenChange={(next) => {
				setHover(layout);
				setOpen(next);
			}}
		>
			<Tip label="Layout">
				<Popover.Trigger className="icon-button" aria-label="Layout">
					<LayoutGrid size={16} />
				</Popover.Trigger>
			</Tip>
			<Popover.Portal>
				<Popover.Content className="menu layout-picker" sideOffset={4} align="center">
					<div className="layout-cells">
						{SIDE.flatMap((rows) =>
							SIDE.map((columns) => (
								<button
									type="button"
									key={`${rows}x${columns}`}
									aria-label={`${rows} by ${columns}`}
									data-in={rows <= hover.rows && columns <= hover.columns}
									onPointerEnter={() => setHover({ rows, columns })}
									onFocus={() => setHover({ rows, columns })}
									onClick={() => {
										session.setLayout({ rows, columns });
										setOpen(false);
									}}
								/>
							)),
						)}
					</div>
					<p>
						{hover.rows} × {hover.columns}
					</p>
				</Popover.Content>
			</Popover.Portal>
		</Popover.Root>
	);
}
