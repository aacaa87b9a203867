int main(void)
{
	volatile u32 *numbers = (u32 *)0x100000;
	u32 sum = 0;
	for (int i = 0; i < 10; i++)
		sum += numbers[i];
	print("summed\n");
	return (int)sum;
}
