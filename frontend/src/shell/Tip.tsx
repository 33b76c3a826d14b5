import * as Tooltip from "@radix-ui/react-tooltip";
import type { ReactNode } from "react";

/** A tooltip that teaches the key. The child is what it belongs to. */
export function Tip({
	label,
	keys,
	children,
}: {
	label: string;
	keys?: string | undefined;
	children: ReactNode;
}) {
	return (
		<Tooltip.Root>
			<Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
			<Tooltip.Portal>
				<Tooltip.Content className="tooltip" sideOffset={4} collisionPadding={8}>
					{label}
					{keys && <kbd>{keys}</kbd>}
				</Tooltip.Content>
			</Tooltip.Portal>
		</Tooltip.Root>
	);
}
