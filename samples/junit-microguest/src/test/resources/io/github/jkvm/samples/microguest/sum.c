/* The test puts the numbers at 1 MiB, after their count, and finds the sum as the guest's exit status. */
int main(void)
{
	const volatile u32 *words = (const volatile u32 *)0x100000;
	u32 sum = 0;

	for (u32 i = 1; i <= words[0]; i++)
		sum += words[i];
	print("done\n");
	return (int)sum;
}
